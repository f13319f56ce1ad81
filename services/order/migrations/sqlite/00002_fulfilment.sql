-- +goose Up
-- The deadline that the process of an order waits for: what the event store's log says up to the checkpoint.
CREATE TABLE fulfilment_deadline (
    order_id       TEXT    PRIMARY KEY,
    kind           TEXT    NOT NULL,
    due_at         INTEGER NOT NULL,
    try_at         INTEGER NOT NULL, -- when to look at it: when it is due, and later again while it is still here
    correlation_id TEXT    NOT NULL,
    traceparent    TEXT    NOT NULL,
    written_at     INTEGER NOT NULL
);
CREATE INDEX fulfilment_deadline_next ON fulfilment_deadline (try_at, order_id);

CREATE TABLE fulfilment_checkpoint (
    name     TEXT    PRIMARY KEY,
    position INTEGER NOT NULL
);

-- Orders that could not be handled.
CREATE TABLE fulfilment_aside (
    order_id TEXT    PRIMARY KEY,
    position INTEGER NOT NULL, -- of the last event that failed; 0: a deadline did
    reason   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    try_at   INTEGER NOT NULL
);
CREATE INDEX fulfilment_aside_next ON fulfilment_aside (try_at, order_id);
