-- +goose Up
-- Every event pays for the columns and indexes here. Bytes compare faster than words of a language; forgetting reads the
-- table in the order it was written, for which a block range index is enough; and nearly always there is one consumer.
ALTER TABLE inbox
    ALTER COLUMN consumer TYPE TEXT COLLATE "C",
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN source TYPE TEXT COLLATE "C",
    ALTER COLUMN subject TYPE TEXT COLLATE "C";
ALTER TABLE inbox_held
    ALTER COLUMN consumer TYPE TEXT COLLATE "C",
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN source TYPE TEXT COLLATE "C",
    ALTER COLUMN subject TYPE TEXT COLLATE "C";
DROP INDEX inbox_subject;
CREATE INDEX inbox_subject ON inbox (subject);
DROP INDEX inbox_handled;
CREATE INDEX inbox_handled ON inbox USING brin (handled_at) WITH (pages_per_range = 16, autosummarize = on);
