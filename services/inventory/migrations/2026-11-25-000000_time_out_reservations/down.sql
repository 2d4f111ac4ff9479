DROP INDEX reservations_open;
ALTER TABLE reservations DROP COLUMN traceparent;
