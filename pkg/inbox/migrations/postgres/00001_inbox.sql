-- +goose Up
CREATE TABLE inbox (
    consumer       TEXT   NOT NULL,
    id             TEXT   NOT NULL,
    source         TEXT   NOT NULL,
    type           TEXT   NOT NULL,
    subject        TEXT   NOT NULL,
    sequence       BIGINT NOT NULL,
    correlation_id TEXT   NOT NULL,
    causation_id   TEXT   NOT NULL,
    time           BIGINT NOT NULL,
    received_at    BIGINT NOT NULL,
    handled_at     BIGINT NOT NULL,
    attempts       BIGINT NOT NULL,
    outcome        TEXT   NOT NULL, -- handled, or discarded by a person
    reason         TEXT   NOT NULL, -- of the last attempt that failed, or empty
    PRIMARY KEY (consumer, id, source)
);
CREATE INDEX inbox_subject ON inbox (consumer, subject);
CREATE INDEX inbox_handled ON inbox (consumer, handled_at);

CREATE TABLE inbox_held (
    seq            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of arrival
    consumer       TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    type           TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    time           BIGINT  NOT NULL,
    content_type   TEXT    NOT NULL,
    data           BYTEA   NOT NULL,
    correlation_id TEXT    NOT NULL,
    causation_id   TEXT    NOT NULL,
    trace_parent   TEXT    NOT NULL,
    sequence       BIGINT  NOT NULL,
    malformed      BOOLEAN NOT NULL, -- no valid envelope: it can only be discarded
    status         TEXT    NOT NULL, -- held: to be tried again; parked: for a person
    attempts       BIGINT  NOT NULL, -- begun so far
    reason         TEXT    NOT NULL, -- of the last attempt that failed, or empty
    due_at         BIGINT  NOT NULL, -- not to be tried before; while it is being tried, the end of that
    received_at    BIGINT  NOT NULL,
    failed_at      BIGINT,
    parked_at      BIGINT,
    UNIQUE (consumer, id, source)
);
CREATE INDEX inbox_held_subject ON inbox_held (consumer, subject, seq);
CREATE INDEX inbox_held_due ON inbox_held (consumer, due_at) WHERE status = 'held';
