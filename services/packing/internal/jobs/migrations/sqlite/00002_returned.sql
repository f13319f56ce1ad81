-- +goose Up
ALTER TABLE job ADD COLUMN returned_at INTEGER NOT NULL DEFAULT 0; -- the goods were put back
ALTER TABLE job ADD COLUMN dispatched_at INTEGER NOT NULL DEFAULT 0; -- the carrier took them
