-- +goose Up
-- What may tell of somebody must not outlive its row in the statistics of the planner. A change of type, to the
-- same one, drops those there are.
ALTER TABLE inbox ALTER COLUMN reason TYPE TEXT, ALTER COLUMN reason SET STATISTICS 0;
ALTER TABLE inbox_held
    ALTER COLUMN data TYPE BYTEA, ALTER COLUMN data SET STATISTICS 0,
    ALTER COLUMN reason TYPE TEXT, ALTER COLUMN reason SET STATISTICS 0;
