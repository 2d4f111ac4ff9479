-- Expands: a version from before goes on writing products, at version 1.
ALTER TABLE products ADD COLUMN version BIGINT NOT NULL DEFAULT 1 CHECK (version >= 1);

CREATE INDEX products_by_category ON products (category, id);

-- What came to the stock or went from it without an order: deliveries, losses, counts.
CREATE TABLE stock_adjustments (
    -- The caller's: the same adjustment is made once.
    id TEXT NOT NULL PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES products (id),
    change BIGINT NOT NULL CHECK (change <> 0),
    reason TEXT NOT NULL,
    -- Who made it.
    user_id TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX stock_adjustments_by_product ON stock_adjustments (product_id, created_at);
