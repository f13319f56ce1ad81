-- +goose Up
CREATE TABLE lease (
    name       TEXT   PRIMARY KEY,
    holder     TEXT   NOT NULL,
    epoch      BIGINT NOT NULL, -- grows with every new holder, never goes back
    expires_at BIGINT NOT NULL  -- microseconds, by the clock of the database
);
