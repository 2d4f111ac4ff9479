CREATE TABLE payments (
    id TEXT PRIMARY KEY NOT NULL,
    -- One charge for an order, however often it is asked for.
    order_id TEXT NOT NULL UNIQUE,
    -- Who pays, where the caller said so.
    user_id TEXT,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    -- The method's name; never a card's number.
    payment_method TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'captured', 'declined', 'failed', 'voided', 'refunded')),
    -- The gateway's name for the charge, once it is captured.
    transaction_id TEXT,
    -- Why it was not captured.
    failure_code TEXT,
    -- The trace in which it was asked for, so that recovery can link to it.
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- What recovery looks for.
CREATE INDEX payments_status_updated_at ON payments (status, updated_at);
