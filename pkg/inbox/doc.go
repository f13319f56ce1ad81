// Package inbox consumes events so that each has its effect exactly once, in
// the order of its subject, and so that one bad event stops no others.
//
// # The promise
//
// A handler registered with [On] or [OnBatch] writes its read model, and the
// rows of its outbox, in the transaction that also notes the event in the
// inbox; the bus is told only after that committed. Whatever dies, an event
// that comes again is recognised and skipped. A handler registered with [Do]
// has an effect elsewhere, such as appending to an event stream; it runs
// before the event is noted and so must recognise a repetition by itself, with
// ids derived from the event.
//
// Use: register handlers, subscribe with [Inbox.Patterns] and [Inbox.Handle],
// and keep [Inbox.Run] running beside it. Subscribe to the queue of dead letters
// with [Inbox.HandleDead].
//
// # Failure
//
// What an event goes through:
//
//	            handler succeeds
//	received ──────────────────────────────────────────▶ handled
//	   │ fails, or an earlier one of its subject is held    ▲   ▲
//	   ▼                       succeeds                     │   │
//	 held ──────────────────────────────────────────────────┘   │
//	   │ ▲                                                      │
//	   │ └─ fails: again after a growing delay                  │
//	   │ attempts exhausted                                     │
//	   ▼                                                        │
//	parked ── redriven by a person: held again, arrives late ───┘
//	   └───── discarded by a person
//
// An event whose handler fails is held in the database, with the later ones of
// its subject behind it, and acknowledged to the bus. Events of other subjects
// flow. Held events are tried again by Run with growing delays; after
// [Options.MaxAttempts] the event is parked with its reason, and the later ones
// of its subject flow. A panic is a failed attempt, with its stack. An event that
// can never be handled (its data cannot be decoded, it is no valid envelope, or
// the handler returns [Park]) is parked at once. An event that kills the process
// at each touch ends in the broker's queue of dead letters, and from there it is
// parked without being touched.
//
// Trouble that is not the event's fault counts no attempt: when the database
// does not answer, when the handler says [Outage] or returns an error that
// [Options.Outage] recognises, and when the context ends. Then Handle returns
// the error, the bus pauses and delivers again, and [Inbox.Ready] says why.
//
// Time is bounded everywhere, and who used it up decides whose fault it is:
//
//   - The database is silent: after answer_within (package sqldb, 1 min unless its
//     URL says otherwise) and a grace of at most 5 s it is held to be away.
//   - The database works at what a handler asked for or queued, or waits for a row
//     that another transaction has, for longer than answer_within, or the
//     transaction deadlocks as often as sqldb repeats it: an attempt failed. The
//     batch is divided until the event is found; the others flow, and it is tried
//     again later, when the row may be free. A lock_timeout or statement_timeout
//     in the URL means the same, sooner.
//   - One call of a handler takes longer than [Options.Timeout]: an attempt failed.
//     One for On or OnBatch failed also when it paid no heed to its context and
//     succeeded in the end; what a Do handler did has happened, and counts.
//   - The handlers of a batch take longer than that together: nothing failed, but
//     the batch is rolled back and divided. Their transaction idles meanwhile, and
//     PostgreSQL would end it after 10 min.
//   - Another instance has the subjects for longer than answer_within, as one with
//     Do handlers may, or another process has the SQLite file for longer than 10 s:
//     nobody's fault. The batch comes again.
//
// On SQLite no limit but the end of the context of Handle holds for a statement
// that was queued: it runs at once, as part of the handler, and belongs there.
//
// # A batch
//
// Consecutive events for On and OnBatch handlers share one transaction:
//
//	BEGIN; lock the subjects; note the new events       one round trip
//	the handlers, each with Tx.Queue                    none
//	what they queued; COMMIT                            one round trip
//
// The note says which events are new and not behind a held one; only those are
// handled, and a rollback takes their notes back. After a batch that was all new
// the next one is taken to be so, which PostgreSQL notes faster; if it is not, it
// begins anew, before any handler has run. (The server's log has a line about
// inbox_pkey then.)
//
// A handler that asks the database costs a round trip of its own. When a handler
// or what it queued fails, the transaction is rolled back and repeated in parts
// until the guilty event is alone. So a handler can run several times for one
// attempt, and must do nothing that does not roll back.
//
// Consecutive events for Do handlers run concurrently, up to
// [Options.Concurrency], those of one subject one after the other, in
// transactions that last at most about twice [Options.Timeout].
//
// # Order
//
// Events of one subject are handled in the order in which they were delivered,
// whatever their kinds of handlers, and held ones before later ones. Between
// subjects there is no order: an OnBatch handler gathers events over those of
// other types in between, and with [Options.Lanes] parts of a batch are handled
// side by side. A redriven event arrives late; an id may be used by several
// sources, which CloudEvents allows.
//
// On PostgreSQL each subject is locked (advisory locks, taken in one order)
// while its events are handled, so several instances do not interleave one
// subject, however the bus spreads its events. READ COMMITTED is enough, and what
// a DB's Update gives: the locks keep what was looked at as it was. Transactions
// that deadlock over rows of the read model are repeated. SQLite has one writer;
// Do handlers there rely on the bus not giving one subject to two processes at a
// time.
//
// # Reading what was written
//
// [Inbox.Await] waits until one event has had its effect here. It is exact: it
// looks for that event, and not for how far the subject has come.
//
// # Tuning
//
// Larger batches (eventbus.Queue.BatchSize) help most, then Tx.Queue instead of
// Exec, then OnBatch. On PostgreSQL what a batch queued must be through within
// answer_within (package sqldb); otherwise the batch is divided, and an event
// that takes longer alone is held. Lanes pay where the database server has
// processors to spare and transactions wait for its disk; on a machine that is
// busy they cost.
//
// An inbox uses at most half the connections of a PostgreSQL pool (8 unless
// pool_max_conns in the URL says otherwise) for transactions in which handlers
// run, in lanes or with held events: a handler may take one connection besides,
// and none waits for ever. More lanes than that are not made, which the log says.
// Inboxes that share a pool do not know of each other: give it two connections for
// each lane of each. With a single one no handler may ask outside its transaction.
//
// A held subject costs a look by index for each batch, and nothing while none is
// held.
//
// # Somebody is forgotten
//
// The handler of the event that says so calls [Inbox.Erase]: what is parked of
// its subject goes, and none of it is parked from then on. What is held gets out
// of its way ([Options.Forgotten]). [Inbox.Scrub] makes the deleted bytes
// unreadable.
//
// # Forgetting
//
// What goes leaves behind how far its subject had come, for Await. An inbox row
// may go only when its event cannot come again. What can bring it
// back, and why it is still known then:
//
//   - The bus, after a consumer that died between commit and acknowledgement. It
//     may stay stopped for any time: age counts from the last event that was
//     handled, and what the bus had handed out comes before anything newer.
//   - An outbox or a relay that died between the bus's confirmation and its own
//     note of it. It repeats when it is back: within [Options.Retention], 30 days,
//     or whatever outlasts the longest time your publishers stay down.
//   - A backup of a publisher's database that is put back; the same, which is why
//     [MinRetention] is a week.
//   - The broker's queue of dead letters. Nothing from there is handled, known or
//     not: a person decides.
//   - A person's redrive: held and parked events stay known without a limit.
//   - A replay of history: it has the ids of then. What is older than the
//     retention meets handlers again, which end in the same rows (guarantee 5);
//     an effect that cannot bear that must outlive the retention.
package inbox
