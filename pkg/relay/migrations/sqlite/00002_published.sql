-- One index that finds the publications of a subject and tells a repetition.
-- Old rows are found by their place in the table: they are added in that order.
-- +goose Up
CREATE TABLE relay_published_2 (
    id             TEXT NOT NULL,
    name           TEXT NOT NULL,
    type           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    sequence       BIGINT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id   TEXT NOT NULL,
    published_at   BIGINT NOT NULL
);

INSERT INTO relay_published_2 (id, name, type, subject, sequence, correlation_id, causation_id, published_at)
SELECT id, name, type, subject, sequence, correlation_id, causation_id, published_at
FROM relay_published ORDER BY published_at;

DROP TABLE relay_published;

ALTER TABLE relay_published_2 RENAME TO relay_published;

CREATE UNIQUE INDEX relay_published_subject ON relay_published (name, subject, id);
