-- Runs on SQLite and on PostgreSQL. Both tables are made anew, since SQLite adds no constraint to a table. It only
-- expands: what the version before inserts and updates still fits. Orders that it writes meanwhile hold no lease, and
-- recovery takes them a quarter of an hour after their last change.
CREATE TABLE new_orders (
    id TEXT PRIMARY KEY NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    order_type TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'reserved', 'paid', 'confirmed', 'failing', 'failed')),
    -- Why the order failed; also while what it took is being given back.
    failure_code TEXT,
    -- Known once the goods are reserved.
    amount_minor BIGINT CHECK (amount_minor >= 0),
    currency TEXT,
    payment_id TEXT UNIQUE,
    -- The trace in which the order was placed: later work links to it.
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    -- Counts every change, also of who works on the order: who writes says which one it has read.
    version BIGINT NOT NULL DEFAULT 1,
    -- Until then somebody works on the order, or it is to be left alone; then recovery takes it.
    due_at TIMESTAMP,
    -- How often recovery took it without bringing it on, for a reason that waiting does not cure.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Why recovery leaves it to people.
    parked_reason TEXT,
    CHECK (status NOT IN ('reserved', 'paid', 'confirmed') OR amount_minor IS NOT NULL),
    CHECK (status NOT IN ('paid', 'confirmed') OR payment_id IS NOT NULL),
    CHECK (status NOT IN ('failing', 'failed') OR failure_code IS NOT NULL)
);
INSERT INTO new_orders (id, tenant_id, user_id, product_id, quantity, order_type, payment_method, status,
                        failure_code, amount_minor, currency, payment_id, traceparent, created_at, updated_at)
SELECT id, tenant_id, user_id, product_id, quantity, order_type, payment_method,
       CASE WHEN status IN ('pending', 'reserved', 'paid') AND failure_code IS NOT NULL THEN 'failing' ELSE status END,
       failure_code, amount_minor, currency, payment_id, traceparent, created_at, updated_at
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

DROP TABLE mails;
DROP TABLE orders;
ALTER TABLE new_orders RENAME TO orders;
ALTER TABLE new_mails RENAME TO mails;
CREATE INDEX orders_by_owner ON orders (tenant_id, user_id, created_at);
-- The few that recovery may have to do with.
CREATE INDEX orders_unfinished ON orders (due_at) WHERE status <> 'confirmed' AND status <> 'failed';

-- Every status an order had, and the message that tells of it: written with the change, read by whoever watches.
CREATE TABLE order_events (
    order_id TEXT NOT NULL REFERENCES orders (id),
    -- The order's version that this change made.
    version BIGINT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'reserved', 'paid', 'confirmed', 'failing', 'failed')),
    failure_code TEXT,
    -- The PRODUCER span of the message, in the trace that made the change.
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (order_id, version)
);
INSERT INTO order_events (order_id, version, message_id, status, failure_code, traceparent, created_at)
SELECT id, version, id, status, failure_code, traceparent, updated_at FROM orders;

-- Messages that somebody must still act on; who has done so deletes them.
CREATE TABLE outbox (
    -- The message's id: a consumer that has seen it does nothing again.
    id TEXT PRIMARY KEY NOT NULL,
    destination TEXT NOT NULL,
    order_id TEXT NOT NULL REFERENCES orders (id),
    -- The PRODUCER span of the message.
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    -- Until then somebody works on it, or it is to be left alone.
    due_at TIMESTAMP NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_due ON outbox (due_at);
