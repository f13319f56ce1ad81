-- +goose Up
-- Times are microseconds, and 0 is never. Sequences are -1 before the first.
CREATE TABLE customer (
    customer_id         TEXT    PRIMARY KEY,
    registered_at       BIGINT  NOT NULL, -- 0: only other news of the customer has arrived
    name                TEXT    NOT NULL,
    email               TEXT    NOT NULL, -- empty: not known yet
    contact_sequence    BIGINT  NOT NULL, -- of the event that name and email are from
    address             TEXT    NOT NULL, -- JSON
    address_sequence    BIGINT  NOT NULL,
    deactivated_at      BIGINT  NOT NULL,
    deactivation_reason TEXT    NOT NULL,
    last_sequence       BIGINT  NOT NULL,
    written_at          BIGINT  NOT NULL
);
CREATE TABLE customer_order (
    order_id        TEXT    PRIMARY KEY,
    customer_id     TEXT    NOT NULL,
    placed_at       BIGINT  NOT NULL,
    total_amount    BIGINT  NOT NULL,
    total_currency  TEXT    NOT NULL,
    lines           TEXT    NOT NULL, -- JSON
    packed_at       BIGINT  NOT NULL,
    dispatched_at   BIGINT  NOT NULL,
    carrier         TEXT    NOT NULL,
    tracking_number TEXT    NOT NULL,
    cancelled_at    BIGINT  NOT NULL,
    cancelled_by    TEXT    NOT NULL,
    cancel_reason   TEXT    NOT NULL,
    order_sequence  BIGINT  NOT NULL, -- the highest of the order's own events in this row
    correlation_id  TEXT    NOT NULL,
    written_at      BIGINT  NOT NULL
);
CREATE INDEX customer_order_newest ON customer_order (customer_id, placed_at, order_id);
CREATE TABLE mail (
    mail_id        TEXT    PRIMARY KEY,
    order_id       TEXT    NOT NULL,
    customer_id    TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    status         TEXT    NOT NULL, -- kept, queued, sent, failed
    recipient      TEXT    NOT NULL, -- the address it went to; empty before
    attempts       BIGINT  NOT NULL,
    due_at         BIGINT  NOT NULL, -- not to be tried before
    reason         TEXT    NOT NULL, -- why the last attempt failed
    correlation_id TEXT    NOT NULL,
    causation_id   TEXT    NOT NULL, -- the event it is about
    written_at     BIGINT  NOT NULL,
    settled_at     BIGINT  NOT NULL  -- when it was kept, sent or given up
);
CREATE INDEX mail_newest ON mail (written_at, mail_id);
CREATE INDEX mail_of_order ON mail (order_id, written_at, mail_id);
CREATE INDEX mail_of_customer ON mail (customer_id, written_at, mail_id);
CREATE INDEX mail_queue ON mail (due_at, mail_id) WHERE status = 'queued';
