-- +goose Up
-- How far each aggregate had come when its rows were forgotten: what Await answers from after that.
CREATE TABLE inbox_forgotten (
    consumer TEXT COLLATE "C" NOT NULL,
    source   TEXT COLLATE "C" NOT NULL,
    subject  TEXT COLLATE "C" NOT NULL,
    type     TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL, -- the highest of that type
    PRIMARY KEY (subject, source, type, consumer)
);
