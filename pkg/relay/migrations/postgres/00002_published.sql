-- One index that finds the publications of a subject and tells a repetition;
-- its neighbours in time are its neighbours on the disk, as ids of aggregates
-- grow with time. Old rows are found by block: they are added in that order.
-- +goose Up
ALTER TABLE relay_published DROP CONSTRAINT relay_published_pkey;
DROP INDEX relay_published_subject;
DROP INDEX relay_published_at;
ALTER TABLE relay_published ADD PRIMARY KEY (name, subject, id);
CREATE INDEX relay_published_at ON relay_published USING brin (published_at);
