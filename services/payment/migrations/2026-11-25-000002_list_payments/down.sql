DROP INDEX payments_by_user;
