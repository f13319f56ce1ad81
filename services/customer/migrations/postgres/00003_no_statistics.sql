-- +goose Up
-- The planner of PostgreSQL keeps a hundred values of each column, which outlive the rows: of keys it must keep none.
-- A change of type, to the same one, drops what it has.
ALTER TABLE customer_key ALTER COLUMN secret TYPE BYTEA, ALTER COLUMN secret SET STATISTICS 0;
