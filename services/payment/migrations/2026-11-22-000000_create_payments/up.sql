CREATE TABLE payments (
    -- One payment for an order, however often it is asked for.
    order_id TEXT PRIMARY KEY NOT NULL,
    -- What the order's own row calls it.
    payment_id TEXT,
    -- Who pays, where the caller said so.
    user_id TEXT,
    amount_minor BIGINT CHECK (amount_minor > 0),
    currency TEXT,
    -- The method's name; never a card's number.
    payment_method TEXT,
    -- 'cancelled' is the mark of an order that was refunded before it was charged, and is no payment.
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'captured', 'declined', 'failed', 'voided', 'refunded', 'cancelled')),
    -- The gateway's name for the charge, once it is captured.
    transaction_id TEXT,
    -- Why it was not captured.
    failure_code TEXT,
    -- The trace in which it was asked for, so that recovery can link to it.
    traceparent TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (
        status = 'cancelled'
        OR (payment_id IS NOT NULL AND amount_minor IS NOT NULL
            AND currency IS NOT NULL AND payment_method IS NOT NULL)
    )
);

-- What recovery looks for.
CREATE INDEX payments_status_updated_at ON payments (status, updated_at);
