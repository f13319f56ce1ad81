-- +goose Up
-- Subjects of whom nothing may be kept. The rows stay: what comes late must not stay either.
CREATE TABLE inbox_erased (
    consumer TEXT NOT NULL,
    subject  TEXT NOT NULL,
    sweeps   INTEGER NOT NULL, -- how often deleted bytes were made unreadable since something was deleted
    due_at   INTEGER NOT NULL, -- when to do so next; 0 is never
    PRIMARY KEY (consumer, subject)
);
CREATE INDEX inbox_erased_due ON inbox_erased (consumer, due_at) WHERE due_at > 0;
