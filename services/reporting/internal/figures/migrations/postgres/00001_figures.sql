-- +goose Up
-- Times are microseconds, and 0 is never. Sequences are -1 before the first.
CREATE TABLE order_fact (
    order_id       TEXT    PRIMARY KEY,
    placed_at      BIGINT  NOT NULL,
    packed_at      BIGINT  NOT NULL,
    dispatched_at  BIGINT  NOT NULL,
    cancelled_at   BIGINT  NOT NULL,
    amount         BIGINT  NOT NULL,
    currency       TEXT    NOT NULL,
    order_sequence BIGINT  NOT NULL, -- the highest of the order's own events in this row
    correlation_id TEXT    NOT NULL,
    written_at     BIGINT  NOT NULL,
    -- Milliseconds from placing to packing and to dispatching; NULL until both are known.
    to_pack        BIGINT  GENERATED ALWAYS AS (CASE WHEN placed_at > 0 AND packed_at > 0 THEN
        CASE WHEN packed_at > placed_at THEN (packed_at - placed_at) / 1000 ELSE 0 END END) STORED,
    to_dispatch    BIGINT  GENERATED ALWAYS AS (CASE WHEN placed_at > 0 AND dispatched_at > 0 THEN
        CASE WHEN dispatched_at > placed_at THEN (dispatched_at - placed_at) / 1000 ELSE 0 END END) STORED
);
CREATE INDEX order_fact_to_pack ON order_fact (to_pack) WHERE to_pack IS NOT NULL;
CREATE INDEX order_fact_to_dispatch ON order_fact (to_dispatch) WHERE to_dispatch IS NOT NULL;
-- What is counted, and the changes that are not added to it yet.
CREATE TABLE total (
    figure   TEXT    NOT NULL,
    slot     BIGINT  NOT NULL, -- a day since 1970, or a class of durations
    currency TEXT    NOT NULL,
    orders   BIGINT  NOT NULL,
    amount   BIGINT  NOT NULL,
    PRIMARY KEY (figure, slot, currency)
);
CREATE TABLE movement (
    figure   TEXT    NOT NULL,
    slot     BIGINT  NOT NULL,
    currency TEXT    NOT NULL,
    orders   BIGINT  NOT NULL,
    amount   BIGINT  NOT NULL
);
CREATE TABLE customer (
    customer_id    TEXT    PRIMARY KEY,
    created_at     BIGINT  NOT NULL,
    deactivated_at BIGINT  NOT NULL,
    last_sequence  BIGINT  NOT NULL
);
CREATE TABLE price (
    sku           TEXT    PRIMARY KEY,
    amount        BIGINT  NOT NULL,
    currency      TEXT    NOT NULL,
    changed_at    BIGINT  NOT NULL,
    last_sequence BIGINT  NOT NULL
);
