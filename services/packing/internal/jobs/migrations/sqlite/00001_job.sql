-- +goose Up
CREATE TABLE job (
    order_id       TEXT    PRIMARY KEY,
    version        INTEGER NOT NULL, -- counts the changes, from 0
    status         TEXT    NOT NULL, -- follows from the facts below; kept for the index
    customer_id    TEXT    NOT NULL,
    lines          TEXT    NOT NULL, -- JSON: shown as a whole, never searched
    placed_at      INTEGER NOT NULL, -- 0: the order has not arrived, only its cancellation
    correlation_id TEXT    NOT NULL,
    cancelled_at   INTEGER NOT NULL, -- this and the others: 0 is never
    packed_at      INTEGER NOT NULL,
    packed_by      TEXT    NOT NULL,
    rejected_at    INTEGER NOT NULL,
    reason         TEXT    NOT NULL,
    order_sequence INTEGER NOT NULL, -- the highest of the order's events in this row
    changed_at     INTEGER NOT NULL
);
CREATE INDEX job_newest ON job (placed_at, order_id);
CREATE INDEX job_newest_of_status ON job (status, placed_at, order_id);
