-- +goose Up
-- What may tell of somebody must not outlive its row in the statistics of the planner. A change of type, to the
-- same one, drops those there are.
ALTER TABLE customer
    ALTER COLUMN name TYPE TEXT, ALTER COLUMN name SET STATISTICS 0,
    ALTER COLUMN email TYPE TEXT, ALTER COLUMN email SET STATISTICS 0,
    ALTER COLUMN address TYPE TEXT, ALTER COLUMN address SET STATISTICS 0,
    ALTER COLUMN deactivation_reason TYPE TEXT, ALTER COLUMN deactivation_reason SET STATISTICS 0;
ALTER TABLE mail
    ALTER COLUMN recipient TYPE TEXT, ALTER COLUMN recipient SET STATISTICS 0,
    ALTER COLUMN reason TYPE TEXT, ALTER COLUMN reason SET STATISTICS 0;
