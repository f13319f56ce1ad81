// Package sqlitebus is the event bus in one SQLite file: durable queues that
// need nothing but a disk.
//
// # The promise on the way in
//
// It is that of package eventbus, kept by one file. Publish returns after the
// transaction that holds the events was synced to the disk (journal_mode=WAL,
// synchronous=FULL), so they survive kill -9 and, as far as the disk is honest, a
// loss of power. A call is stored as a whole or not at all, even where it returns
// an error. Whatever is published and acknowledged while one transaction is being
// synced shares the next one: the busier the bus, the cheaper each event. An
// event's body is stored once, however many queues it goes to, and removed when
// the last of them has acknowledged.
//
//	publishers ──┐                         ┌── reader: batch of queue A ── handler A
//	             ├─> writer: one goroutine ┤
//	acks ────────┘   one transaction for   └── reader: batch of queue B ── handler B
//	                 all that is waiting
//
// # The promise on the way out
//
// Any number of processes may open the same file. Each queue has one active
// consumer at a time, which holds a lease on it; others that subscribe to the
// queue stand by and take over when it closes, at once when its process is
// gone, and after the lease (10 s) when it is stuck. So several instances of a
// service share a queue without breaking the order of a subject, which also
// survives closing, crashes and reopening.
//
// Acknowledgements follow the handler at a distance of a few batches at most.
// What a consumer had and did not acknowledge is handed out again, marked as
// redelivered.
//
// # What ends its consumers
//
// A message that takes its process down would do so for ever. So after a
// consumer was lost (killed, crashed, or silent for longer than its lease), the
// messages it may have held, the oldest five batches, are handed out one at a
// time, each counted on the disk before the handler sees it. A message that was
// alone in the hands of 100 lost consumers is moved to the queue
// <queue>.dead. There it is kept until somebody consumes it:
//
//	bus.Depth(ctx, "crm.dead")
//	bus.Subscribe(ctx, eventbus.Queue{Name: "crm.dead"}, handler)
//
// Handlers that return errors or panic, and consumers that close, count nothing;
// nor do the neighbours of the guilty one. Nothing is counted, and nothing
// written, while no consumer is lost.
//
// # Failure modes
//
//   - The disk is full: publishes fail, Ready says so, nothing that was promised
//     is lost, and everything goes on when there is room.
//   - Another process holds the file: publishes wait for as long as their
//     context allows. Consumers wait, too.
//   - The file is damaged: it is not opened, or Ready of the bus or of the
//     subscription says so and names it, and the queue stands still. Nothing is
//     skipped. SQLite has no checksums, so a flipped bit inside a text or a body
//     is not noticed.
//   - The process is killed: what Publish returned nil for is there, and what
//     was not acknowledged is handed out again.
//   - The file is on a network file system: not supported, since SQLite's locks
//     do not work there.
//
// # Tuning
//
// Services of one process do best to share one Bus: they then share
// transactions, and a publish wakes consumers at once. Consumers of another
// opening of the file look for changes every 10 ms. Several processes that
// publish at once take turns event by event, which costs each of them a wait of
// some milliseconds; batches make that cheaper. Queue.BatchSize decides how much
// a handler gets at once; memory holds one batch for each consumer, and the
// batches whose acknowledgements are on their way.
//
// # The file
//
// Tables are called as what they hold: queue, binding, message, delivery. They
// can be read with any tool while the bus runs; a tool that writes holds up
// everybody. While the bus is open, two more files (-wal, -shm) belong to it:
// copy it after it was closed, or with a tool that knows SQLite. A file of an
// older version is brought up to date when it is opened; one of a newer version
// is refused.
package sqlitebus
