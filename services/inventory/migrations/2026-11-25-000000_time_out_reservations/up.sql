-- The trace in which the stock was reserved: what times it out links to it.
ALTER TABLE reservations ADD COLUMN traceparent TEXT;
-- The few that may time out.
CREATE INDEX reservations_open ON reservations (created_at) WHERE state = 'reserved';
