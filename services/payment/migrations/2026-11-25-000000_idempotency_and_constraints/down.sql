DROP INDEX payments_transaction_id;
DROP INDEX payments_payment_id;
DROP TABLE idempotency_keys;
