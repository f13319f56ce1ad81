-- The outbox is the history of what was announced: each row that was sent has the number of its announcement, and stays.
-- +goose Up
ALTER TABLE outbox ADD COLUMN announced INTEGER;
UPDATE outbox SET announced = numbered.n
FROM (SELECT seq, row_number() OVER (ORDER BY sent_at, seq) AS n FROM outbox WHERE sent_at IS NOT NULL) AS numbered
WHERE outbox.seq = numbered.seq;
DROP INDEX outbox_sent;
CREATE UNIQUE INDEX outbox_announced ON outbox (announced) WHERE announced IS NOT NULL;
