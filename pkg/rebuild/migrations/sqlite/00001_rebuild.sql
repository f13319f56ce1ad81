-- +goose Up
CREATE TABLE rebuild (
    name        TEXT   PRIMARY KEY,
    status      TEXT   NOT NULL, -- see the package
    asked       TEXT   NOT NULL, -- what to do once it is filled: nothing yet, check, swap, or swap whatever differs
    reason      TEXT   NOT NULL, -- what it waits for, or empty
    compared    INTEGER NOT NULL, -- rows
    differences TEXT   NOT NULL, -- JSON
    begun_at    INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);
