-- +goose Up
-- When the key was destroyed; 0 is never. The row stays, so that no other key is made.
ALTER TABLE customer_key ADD COLUMN forgotten_at INTEGER NOT NULL DEFAULT 0;

-- How far the log has been searched for customers who are to be forgotten.
CREATE TABLE forgetting_checkpoint (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
);

-- Customers who are forgotten and of whom copies may still lie about.
CREATE TABLE forgetting (
    customer_id TEXT PRIMARY KEY,
    position    INTEGER NOT NULL, -- in the log: what is before it was announced while they were known
    sweeps      INTEGER NOT NULL, -- how often copies were looked for
    due_at      INTEGER NOT NULL  -- when to look for them again
);
