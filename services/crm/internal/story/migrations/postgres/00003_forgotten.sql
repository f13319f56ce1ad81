-- +goose Up
ALTER TABLE customer ADD COLUMN forgotten_at BIGINT NOT NULL DEFAULT 0;
