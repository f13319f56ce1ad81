-- +goose Up
CREATE TABLE es_snapshot (
    stream   TEXT   PRIMARY KEY,
    revision BIGINT NOT NULL,
    event_id TEXT   NOT NULL, -- of the event at revision
    version  BIGINT NOT NULL, -- of the form of state
    state    BLOB   NOT NULL,
    seen     BLOB   NOT NULL,
    checksum BIGINT NOT NULL
);
