-- Runs once, when PostgreSQL's volume is new: for each service a role and a database that is the role's own. No service
-- can connect to another's.
\getenv user_password USER_DB_PASSWORD
\getenv order_password ORDER_DB_PASSWORD
\getenv inventory_password INVENTORY_DB_PASSWORD
\getenv payment_password PAYMENT_DB_PASSWORD

CREATE ROLE user_service LOGIN PASSWORD :'user_password';
CREATE ROLE order_service LOGIN PASSWORD :'order_password';
CREATE ROLE inventory_service LOGIN PASSWORD :'inventory_password';
CREATE ROLE payment_service LOGIN PASSWORD :'payment_password';

CREATE DATABASE user_service OWNER user_service;
CREATE DATABASE order_service OWNER order_service;
CREATE DATABASE inventory_service OWNER inventory_service;
CREATE DATABASE payment_service OWNER payment_service;

REVOKE CONNECT ON DATABASE user_service, order_service, inventory_service, payment_service FROM PUBLIC;
