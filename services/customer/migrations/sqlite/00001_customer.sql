-- +goose Up
CREATE TABLE customer_key (
    customer_id TEXT PRIMARY KEY,
    secret      BLOB NOT NULL,
    created_at  BIGINT NOT NULL
);
