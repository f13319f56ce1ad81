-- +goose Up
ALTER TABLE customer_order ADD COLUMN packing_delayed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE customer_order ADD COLUMN dispatch_delayed_at BIGINT NOT NULL DEFAULT 0;
