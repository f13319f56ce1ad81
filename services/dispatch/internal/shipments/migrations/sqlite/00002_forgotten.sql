-- +goose Up
ALTER TABLE customer ADD COLUMN forgotten_at INTEGER NOT NULL DEFAULT 0; -- 0 is never
CREATE INDEX shipment_of_customer ON shipment (customer_id);
