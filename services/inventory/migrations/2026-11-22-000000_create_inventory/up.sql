CREATE TABLE products (
    id TEXT NOT NULL PRIMARY KEY,
    sku TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price_minor BIGINT NOT NULL CHECK (price_minor >= 0),
    currency TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE stock (
    product_id TEXT NOT NULL PRIMARY KEY REFERENCES products (id),
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    CHECK (reserved <= on_hand)
);

-- One row for an order. An order that is released before it reserved anything has a row of no product:
-- it refuses the reservation that is still under way.
CREATE TABLE reservations (
    order_id TEXT NOT NULL PRIMARY KEY,
    product_id TEXT REFERENCES products (id),
    quantity BIGINT CHECK (quantity > 0),
    unit_price_minor BIGINT CHECK (unit_price_minor >= 0),
    currency TEXT,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'committed', 'released')),
    created_at TIMESTAMP NOT NULL,
    settled_at TIMESTAMP,
    CHECK (
        state = 'released'
        OR (
            product_id IS NOT NULL
            AND quantity IS NOT NULL
            AND unit_price_minor IS NOT NULL
            AND currency IS NOT NULL
        )
    )
);
