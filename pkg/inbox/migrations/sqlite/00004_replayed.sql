-- +goose Up
-- An event that was told again as history is that also when it is tried later.
ALTER TABLE inbox_held ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0;
