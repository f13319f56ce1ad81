-- +goose Up
CREATE TABLE product (
    sku        TEXT   PRIMARY KEY,
    version    BIGINT NOT NULL, -- counts the prices, from 0
    name       TEXT   NOT NULL,
    amount     BIGINT NOT NULL, -- in minor units
    currency   TEXT   NOT NULL,
    listed_at  BIGINT NOT NULL,
    changed_at BIGINT NOT NULL  -- when the price was set
);
CREATE INDEX product_newest ON product (listed_at, sku);
