-- +goose Up
CREATE TABLE customer_copy (
    customer_id TEXT PRIMARY KEY,
    created     BIGINT NOT NULL DEFAULT 0,
    deactivated BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE product_copy (
    sku            TEXT PRIMARY KEY,
    name           TEXT,
    price_amount   BIGINT NOT NULL,
    price_currency TEXT NOT NULL,
    price_sequence BIGINT NOT NULL
);

CREATE TABLE order_list (
    order_id    TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    status      TEXT NOT NULL,
    placed_at   BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    state       TEXT NOT NULL,
    written_at  BIGINT NOT NULL
);

CREATE INDEX order_list_newest ON order_list (placed_at, order_id);
CREATE INDEX order_list_customer ON order_list (customer_id, placed_at, order_id);
CREATE INDEX order_list_status ON order_list (status, placed_at, order_id);

CREATE TABLE order_list_checkpoint (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);
