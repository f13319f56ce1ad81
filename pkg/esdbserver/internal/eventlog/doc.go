// Package eventlog stores events so that whatever was acknowledged is there after a crash, in the order in which it was
// acknowledged, and never twice.
//
// One Log is one SQLite database with a single writer. Every event has a place in its stream (the revision, dense from 0)
// and a place among all events (the position, strictly growing with gaps, never reused). The package knows the rules of
// the EventStoreDB protocol about expected revisions, idempotent appends, soft deletion, tombstones and stream metadata;
// it knows nothing about gRPC.
//
// # Writing
//
// Writers queue; one goroutine takes what has queued up, applies each write in turn inside one transaction, commits and
// only then answers all of them (group commit). A write that is refused leaves no trace in the transaction and does not
// disturb its neighbours. An idle writer never waits for company: it takes what queued while the previous commit ran.
//
// # Reading
//
// Reads run beside the writer on connections of their own (SQLite in WAL mode) and come in pages, so that no reader holds
// a snapshot for longer than one page takes.
//
// # Following
//
// Log.After hands out the events committed most recently from memory, so that a live subscriber costs no query. What it
// keeps is bounded: a subscriber that has fallen behind is told so and reads the database until it has caught up.
//
// # Positions
//
// A position belongs to one event for ever. The next one is taken behind the largest that is stored, so that a number
// can be taken twice only when its first event was never stored: a transaction that was rolled back, or one that a crash
// cut short. Nobody has seen such an event. Readers see what SQLite has committed, which with synchronous=FULL is after
// the fsync; subscribers and writers are told after the commit; and a transaction whose fsync failed is the last one
// until the log is opened again, which decides whether it is stored.
//
// # Damage
//
// Each event carries a checksum over all that is stored of it and names the event before it; a read checks both, and that
// a page of a stream has no gap. What is damaged is an error that names the place, and the rest stays readable. Opening
// checks the header, the size of the file, the write-ahead log and the end of the log as far back as an earlier process
// may have been writing, and refuses a damaged store without changing it. Out of sight stays a stream whose name cannot
// be found in a damaged index of names, and the loss of the last transaction together with -shm, the index of the
// write-ahead log, which looks like a transaction that a crash cut short.
package eventlog
