-- +goose Up
ALTER TABLE customer_copy ADD COLUMN forgotten BIGINT NOT NULL DEFAULT 0;
