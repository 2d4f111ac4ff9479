-- Runs on SQLite and on PostgreSQL.
CREATE TABLE orders (
    id TEXT PRIMARY KEY NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    order_type TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    status TEXT NOT NULL,
    -- Why the order failed; also while what it took is being given back.
    failure_code TEXT,
    -- Known once the goods are reserved.
    amount_minor BIGINT CHECK (amount_minor >= 0),
    currency TEXT,
    payment_id TEXT,
    -- The trace in which the order was placed: later work links to it.
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE INDEX orders_by_owner ON orders (tenant_id, user_id, created_at);

-- Mail that is to be sent; whoever sends it takes it from here.
CREATE TABLE mails (
    id TEXT PRIMARY KEY NOT NULL,
    order_id TEXT NOT NULL UNIQUE REFERENCES orders (id),
    user_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
