-- +goose Up
CREATE TABLE relay_checkpoint (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);

CREATE TABLE relay_published (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    type           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    sequence       BIGINT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id   TEXT NOT NULL,
    published_at   BIGINT NOT NULL
);

CREATE INDEX relay_published_subject ON relay_published (name, subject);
CREATE INDEX relay_published_at ON relay_published (published_at);

CREATE TABLE relay_parked (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL,
    name      TEXT NOT NULL,
    stream    TEXT NOT NULL,
    revision  BIGINT NOT NULL,
    position  BIGINT NOT NULL,
    type      TEXT NOT NULL,
    reason    TEXT NOT NULL,
    parked_at BIGINT NOT NULL,
    UNIQUE (name, position)
);
