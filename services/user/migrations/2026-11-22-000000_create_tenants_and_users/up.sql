CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Whoever registers without an invitation belongs here: Tenant::PUBLIC in the code.
INSERT INTO tenants (id, name, created_at)
VALUES ('019a0000-0000-7000-8000-000000000001', 'public', '2026-11-22 00:00:00');

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    email TEXT NOT NULL,
    -- What tells two addresses apart: the address in lower case.
    email_normalised TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    tier TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX users_by_tenant ON users (tenant_id);
