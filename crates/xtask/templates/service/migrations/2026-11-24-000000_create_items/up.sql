CREATE TABLE items (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL
);
