-- Requests that carry an Idempotency-Key, and the answers they got. Of scope, key and body there is only a hash.
CREATE TABLE idempotency_keys (
    -- SHA-256 of who calls what, and the key.
    id TEXT PRIMARY KEY NOT NULL,
    -- SHA-256 of the request.
    fingerprint TEXT NOT NULL,
    -- The id of what the request makes, the same each time it is tried.
    resource TEXT NOT NULL,
    -- Until then somebody works on the request.
    locked_until TIMESTAMP NOT NULL,
    -- The answer, once there is one that stays.
    status INTEGER CHECK (status BETWEEN 200 AND 599),
    body TEXT,
    expires_at TIMESTAMP NOT NULL,
    CHECK ((status IS NULL) = (body IS NULL))
);
CREATE INDEX idempotency_keys_expired ON idempotency_keys (expires_at);
