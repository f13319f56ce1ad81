-- +goose Up
ALTER TABLE customer ADD COLUMN forgotten_at INTEGER NOT NULL DEFAULT 0;
