-- +goose Up
CREATE TABLE outbox (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, and with one writer in the order of the commits
    id             TEXT    NOT NULL UNIQUE,
    source         TEXT    NOT NULL,
    type           TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    time           INTEGER NOT NULL,
    content_type   TEXT    NOT NULL,
    data           BLOB    NOT NULL,
    correlation_id TEXT    NOT NULL,
    causation_id   TEXT    NOT NULL,
    trace_parent   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL,
    request        TEXT    NOT NULL, -- the HTTP call behind it, as in "POST /jobs/1/pack", or empty
    requested_at   INTEGER NOT NULL,
    added_at       INTEGER NOT NULL,
    sent_at        INTEGER,          -- when the bus had it durably
    parked_at      INTEGER,          -- when the bus refused it
    reason         TEXT
);
CREATE INDEX outbox_unsent ON outbox (seq) WHERE sent_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_parked ON outbox (seq) WHERE parked_at IS NOT NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX outbox_subject ON outbox (subject, seq);
