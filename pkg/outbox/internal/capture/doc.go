// Package capture reads the rows that transactions insert into one table of
// PostgreSQL, in the order of their commits, through logical replication: a
// publication of the inserts, a replication slot with the plugin pgoutput, and
// a connection that the server sends the changes over.
//
// The promise. Every row that a transaction inserted and committed after the
// slot was made is delivered at least once, row by row in the order of the
// commits, until its position is confirmed; nothing of a transaction that
// rolled back is delivered. A transaction is delivered after it has committed,
// but it can be delivered before other sessions see it: the server makes a
// commit durable first and visible then, and with a synchronous standby much
// later.
//
// Memory. The server sends no faster than [Stream.Changes] is read; a transaction
// of any size passes through one row at a time.
//
// A slot keeps the server's log (WAL) from its position on, and nothing but a
// reader moves it: see [Slot.Look] for how much is kept, and [Slot.Drop].
//
// It needs PostgreSQL 13 or later with wal_level = logical, a role with the
// attribute REPLICATION that owns the table and may CREATE in the database, and
// one of max_replication_slots and of max_wal_senders.
package capture
