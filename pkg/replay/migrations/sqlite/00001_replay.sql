-- +goose Up
CREATE TABLE replay (
    id         TEXT   PRIMARY KEY,
    queue      TEXT   NOT NULL, -- who is told
    since      INTEGER NOT NULL, -- only what happened at this time or later; 0 is everything
    rate       INTEGER NOT NULL, -- the most events a second; 0 is as fast as it goes
    begins     INTEGER NOT NULL, -- the position behind which it began
    position   INTEGER NOT NULL, -- the checkpoint: up to here the queue has everything
    ends       INTEGER NOT NULL, -- the position at which it is done; -1 before that is noted
    status     TEXT   NOT NULL, -- running, paused, done, cancelled, failed
    reason     TEXT   NOT NULL, -- what it waits for, or failed for; or empty
    sent       INTEGER NOT NULL,
    worked     INTEGER NOT NULL, -- microseconds spent on it
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX replay_open ON replay (queue) WHERE status IN ('running', 'paused');
