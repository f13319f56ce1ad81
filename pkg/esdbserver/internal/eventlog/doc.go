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
package eventlog
