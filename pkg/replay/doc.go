// Package replay tells one consumer what a service has announced before: a
// service that was added later, or one whose read model is built anew.
//
// The promise. A replay puts every event of the service's history that the
// consumer's queue takes, up to the moment it began, into that queue and no
// other, in the order of announcement, under the ids of then, marked as
// replayed (eventbus.Event.Replayed). Commands are no history and are left out:
// what came of them is announced by whoever carried them out. What was announced later reached the queue
// as live events. So nothing is missing in between, and what comes twice, an
// inbox recognises.
//
// # Where it comes from
//
// A [Source]: the relay's, which translates the event store's log again, or the
// outbox's, whose rows stay. A position is the source's own: of the log, or the
// number of an announcement.
//
// # The states of a replay
//
//	          Begin                            at the end
//	(queue) ─────────▶ running ──────────────────────────────────▶ done
//	                    │   ▲
//	              Pause │   │ Begin again, Resume
//	                    ▼   │
//	                   paused        running, paused ── Cancel ──▶ cancelled
//	                                 running ── the queue is gone ──▶ failed
//
// The state is a row in the service's database: a replay goes on where it was,
// whatever dies. The checkpoint moves over what the bus has confirmed, so after
// a crash the last window is sent again. Of several processes one works, under a
// lease, and the checkpoint is fenced. There is one open replay for each queue: it
// is gone on with, at the rate that is asked for last, and while it is open no
// other part of the history is begun ([ErrElsewhere]).
//
// # Without a gap
//
// The queue must be there, with its bindings, when a replay begins. From then on
// every announcement reaches it. Whatever was committed at that moment may be on
// its way, announced before the binding and not noted as announced yet, so the
// replay first waits until all of that is announced, and notes the position: its
// end. A replay therefore follows behind the announcing, never before it.
//
// # In bounded memory, at a bounded rate
//
// Two windows of at most [Options.Window] events, or some MiB, are in memory, one
// that is sent and one that is read, and a page of the source. Live events wait
// behind what is in the queue already, so a replay pauses while more than
// [Options.Backlog] are there: it goes as fast as the consumer. A rate can be
// asked for on top.
package replay
