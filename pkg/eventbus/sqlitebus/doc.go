// Package sqlitebus is the event bus in one SQLite file: durable queues that
// need nothing but a disk.
//
// The promise is that of package eventbus, kept by one file. Publish returns
// after the transaction that holds the events was synced to the disk
// (journal_mode=WAL, synchronous=FULL), so they survive kill -9 and, as far as
// the disk is honest, a loss of power. An event's body is stored once, however
// many queues it goes to, and removed when the last of them has acknowledged.
//
// Any number of processes may open the same file. Each queue has one active
// consumer at a time, which holds a lease on it; others that subscribe to the
// queue stand by and take over when it closes, at once when its process is
// gone, and after the lease when it is stuck. So several instances of a service
// share a queue without breaking the order of a subject.
//
// Within a [Bus] a publish wakes the consumers at once; consumers of the same
// file elsewhere look for changes every few milliseconds.
//
//	publishers ──┐                         ┌── reader: batch of queue A ── handler A
//	             ├─> writer: one goroutine ┤
//	acks ────────┘   one transaction for   └── reader: batch of queue B ── handler B
//	                 all that is waiting
package sqlitebus
