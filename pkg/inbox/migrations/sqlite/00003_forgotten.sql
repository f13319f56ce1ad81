-- +goose Up
-- How far each aggregate had come when its rows were forgotten: what Await answers from after that.
CREATE TABLE inbox_forgotten (
    consumer TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    sequence INTEGER NOT NULL, -- the highest of that type
    PRIMARY KEY (subject, source, type, consumer)
) WITHOUT ROWID;
