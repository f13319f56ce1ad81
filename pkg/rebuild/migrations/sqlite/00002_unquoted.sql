-- +goose Up
-- What was kept of differences quoted values that may tell who somebody is.
UPDATE rebuild SET differences = '[]';
