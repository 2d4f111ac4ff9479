-- Runs on SQLite and on PostgreSQL. Two statuses more, so the tables with the constraint are made anew, and with them those
-- that refer to them, since SQLite changes no constraint. It only expands; but the version before cannot read an order
-- that was cancelled, and parks one that is being cancelled when it takes it over: nobody reaches the new endpoint there,
-- so let all replicas be new before it is told to customers.
CREATE TABLE new_orders (
    id TEXT PRIMARY KEY NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    order_type TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'reserved', 'paid', 'confirmed', 'failing', 'failed',
                          'cancelling', 'cancelled')),
    failure_code TEXT,
    amount_minor BIGINT CHECK (amount_minor >= 0),
    currency TEXT,
    payment_id TEXT UNIQUE,
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    due_at TIMESTAMP,
    attempts INTEGER NOT NULL DEFAULT 0,
    parked_reason TEXT,
    CHECK (status NOT IN ('reserved', 'paid', 'confirmed') OR amount_minor IS NOT NULL),
    CHECK (status NOT IN ('paid', 'confirmed') OR payment_id IS NOT NULL),
    CHECK (status NOT IN ('failing', 'failed') OR failure_code IS NOT NULL)
);
INSERT INTO new_orders (id, tenant_id, user_id, product_id, quantity, order_type, payment_method, status, failure_code,
    amount_minor, currency, payment_id, traceparent, created_at, updated_at, version, due_at, attempts, parked_reason)
SELECT id, tenant_id, user_id, product_id, quantity, order_type, payment_method,
    CASE WHEN failure_code = 'order_cancelled' AND status = 'failing' THEN 'cancelling'
         WHEN failure_code = 'order_cancelled' AND status = 'failed' THEN 'cancelled' ELSE status END,
    CASE WHEN failure_code = 'order_cancelled' THEN NULL ELSE failure_code END,
    amount_minor, currency, payment_id, traceparent, created_at, updated_at, version, due_at, attempts, parked_reason
FROM orders;

CREATE TABLE new_mails (
    id TEXT PRIMARY KEY NOT NULL,
    order_id TEXT NOT NULL UNIQUE REFERENCES new_orders (id),
    user_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
INSERT INTO new_mails (id, order_id, user_id, subject, body, created_at)
SELECT id, order_id, user_id, subject, body, created_at FROM mails;

CREATE TABLE new_order_events (
    order_id TEXT NOT NULL REFERENCES new_orders (id),
    version BIGINT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'reserved', 'paid', 'confirmed', 'failing', 'failed',
                          'cancelling', 'cancelled')),
    failure_code TEXT,
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (order_id, version)
);
INSERT INTO new_order_events (order_id, version, message_id, status, failure_code, traceparent, created_at)
SELECT order_id, version, message_id,
    CASE WHEN failure_code = 'order_cancelled' AND status = 'failing' THEN 'cancelling'
         WHEN failure_code = 'order_cancelled' AND status = 'failed' THEN 'cancelled' ELSE status END,
    CASE WHEN failure_code = 'order_cancelled' THEN NULL ELSE failure_code END,
    traceparent, created_at
FROM order_events;

CREATE TABLE new_outbox (
    id TEXT PRIMARY KEY NOT NULL,
    destination TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES new_orders (id),
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    due_at TIMESTAMP NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
);
INSERT INTO new_outbox (id, destination, order_id, traceparent, created_at, due_at, attempts)
SELECT id, destination, order_id, traceparent, created_at, due_at, attempts FROM outbox;

DROP TABLE outbox;
DROP TABLE order_events;
DROP TABLE mails;
DROP TABLE orders;
ALTER TABLE new_orders RENAME TO orders;
ALTER TABLE new_mails RENAME TO mails;
ALTER TABLE new_order_events RENAME TO order_events;
ALTER TABLE new_outbox RENAME TO outbox;
CREATE INDEX orders_by_owner ON orders (tenant_id, user_id, created_at);
CREATE INDEX orders_unfinished ON orders (due_at)
    WHERE status <> 'confirmed' AND status <> 'failed' AND status <> 'cancelled';
CREATE INDEX outbox_due ON outbox (due_at);
