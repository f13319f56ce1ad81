-- +goose Up
CREATE TABLE product (
    sku        TEXT    PRIMARY KEY,
    version    INTEGER NOT NULL, -- counts the prices, from 0
    name       TEXT    NOT NULL,
    amount     INTEGER NOT NULL, -- in minor units
    currency   TEXT    NOT NULL,
    listed_at  INTEGER NOT NULL,
    changed_at INTEGER NOT NULL  -- when the price was set
);
CREATE INDEX product_newest ON product (listed_at, sku);
