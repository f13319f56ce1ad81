-- +goose Up
-- What may tell of somebody must not outlive its row in the statistics of the planner. A change of type, to the
-- same one, drops those there are.
ALTER TABLE relay_parked ALTER COLUMN reason TYPE TEXT, ALTER COLUMN reason SET STATISTICS 0;
