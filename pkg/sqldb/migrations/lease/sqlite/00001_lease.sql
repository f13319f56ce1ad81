-- +goose Up
CREATE TABLE lease (
    name       TEXT    PRIMARY KEY,
    holder     TEXT    NOT NULL,
    epoch      INTEGER NOT NULL, -- grows with every new holder, never goes back
    expires_at INTEGER NOT NULL  -- microseconds, by the clock of the machine
);
