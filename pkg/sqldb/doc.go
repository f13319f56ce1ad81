// Package sqldb is the one door to a relational database: PostgreSQL through
// native pgx, or SQLite with nothing to install.
//
// The promise. A query written in the portable subset runs unchanged on both.
// A transaction given to [DB.Update] is durable when Update returns nil and has
// left no trace when it returns an error.
//
// The portable subset: placeholders $1, $2, ...; INSERT ... ON CONFLICT DO
// UPDATE / DO NOTHING; RETURNING; common table expressions that only read.
// Times are BIGINT microseconds since the Unix epoch ([Micros], [Time]).
// sum() is written CAST(sum(x) AS BIGINT): PostgreSQL widens it to NUMERIC
// otherwise. Not portable, and not needed: FOR UPDATE, SKIP LOCKED, ANY($1).
// Schemas differ in their types, so migrations come as two folders, postgres/
// and sqlite/ ([Migrate]).
//
// Speed. [Tx.Queue] keeps statements back whose result nobody needs, so that on
// PostgreSQL a transaction of any number of them takes two round trips; BEGIN and
// COMMIT cost none of their own. [QueueRows] writes many rows with few texts.
// Statements are prepared once a connection, on SQLite as well.
//
// Silence. A PostgreSQL server that does not answer a statement within
// answer_within (a parameter of the URL, a minute without it) is asked to cancel
// it. What was queued is answered in one piece and so shares that time, and
// waiting for a lock is part of it. If the server says that it cancelled, it is
// there and was too slow: the error is one of [IsBusy] and the transaction is
// rolled back. If it is silent for as long again, but 5 s at most, it is held to be
// gone: the error is one of [IsUnavailable] alone, the connection is thrown away.
// Migrations have no such limit. The server in turn ends sessions that nobody is
// at the other end of. Where the answer to a commit was lost, it may have happened
// or not.
//
// A function given to Update must not call Update of the same database: on
// SQLite, where there is one writer, it would wait for itself for ever.
//
// A service that starts before its database calls [Connect], shows [DB.Ping] as
// its readiness, and lets [Wait] pass before it migrates.
//
// What must be done by one process at a time runs under a [Lease], and proves
// with [Fence] that it still holds it.
//
// Deleting for good. A deleted row leaves its bytes behind. [DB.Scrub] writes a
// SQLite file anew from what is in it and empties its write-ahead log, after which
// no file of the database holds them. On PostgreSQL it removes dead rows (VACUUM),
// so that no statement and no inspection of pages as rows finds them; the bytes
// themselves may remain in free space of pages, and in the server's write-ahead
// log, until they are written over, which is the operator's to settle. Copies of
// values also lie in its statistics (pg_stats), which VACUUM leaves alone: a column
// whose values must go is left out of them by SET STATISTICS 0 in its migration.
//
// What belongs to one dialect alone (LISTEN/NOTIFY, advisory locks, snapshots)
// lives with its user, in one file a dialect, behind [DB.Dialect].
package sqldb
