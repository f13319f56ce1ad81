-- +goose Up
CREATE TABLE shipment (
    order_id         TEXT   PRIMARY KEY,
    version          BIGINT NOT NULL, -- counts the changes, from 0
    status           TEXT   NOT NULL, -- follows from the facts below; kept for the index
    customer_id      TEXT   NOT NULL,
    packed_at        BIGINT NOT NULL, -- 0: the order is not known to be packed, only its cancellation is known
    correlation_id   TEXT   NOT NULL,
    cancelled_at     BIGINT NOT NULL, -- this and the next: 0 is never
    dispatched_at    BIGINT NOT NULL,
    carrier          TEXT   NOT NULL,
    tracking_number  TEXT   NOT NULL,
    recipient        TEXT   NOT NULL, -- what was on the box; empty until it is dispatched
    address          TEXT   NOT NULL, -- JSON, likewise
    packing_sequence BIGINT NOT NULL, -- of the event that told it was packed
    changed_at       BIGINT NOT NULL
);
CREATE INDEX shipment_newest ON shipment (packed_at, order_id);
CREATE INDEX shipment_newest_of_status ON shipment (status, packed_at, order_id);

CREATE TABLE customer (
    customer_id      TEXT   PRIMARY KEY,
    name             TEXT   NOT NULL,
    name_sequence    BIGINT NOT NULL, -- of the event that told the name; -1: none has
    address          TEXT   NOT NULL, -- JSON
    address_sequence BIGINT NOT NULL, -- of the event that told the address; -1: none has
    changed_at       BIGINT NOT NULL
);
