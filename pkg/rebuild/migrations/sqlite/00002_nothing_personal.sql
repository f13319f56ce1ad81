-- +goose Up
-- What was found before may quote what is in a column that tells of somebody.
UPDATE rebuild SET differences = '[]';
