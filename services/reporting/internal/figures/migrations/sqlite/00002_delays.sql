-- +goose Up
ALTER TABLE order_fact ADD COLUMN packing_delayed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE order_fact ADD COLUMN dispatch_delayed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE order_fact ADD COLUMN returned_at INTEGER NOT NULL DEFAULT 0;
