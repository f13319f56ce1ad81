-- +goose Up
-- What was found before may quote what is in a column that tells of somebody.
UPDATE rebuild SET differences = '[]';
ALTER TABLE rebuild
    ALTER COLUMN differences TYPE TEXT, ALTER COLUMN differences SET STATISTICS 0,
    ALTER COLUMN reason TYPE TEXT, ALTER COLUMN reason SET STATISTICS 0;
