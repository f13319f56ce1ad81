// Package inbox consumes events so that each has its effect exactly once, in
// the order of its subject, and so that one bad event stops no others.
//
// The promise. A handler registered with [On] writes its read model, and the
// rows of its outbox, in the transaction that also notes the event in the
// inbox; the bus is told only after that committed. Whatever dies, an event
// that comes again is recognised and skipped. A handler registered with [Do]
// has an effect elsewhere, such as appending to an event stream; it runs
// before the event is noted and so must recognise a repetition by itself, with
// ids derived from the event.
//
// Use. Register handlers, subscribe with [Inbox.Patterns] and [Inbox.Handle],
// and keep [Inbox.Run] running beside it.
//
// Failure. What an event goes through:
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
// of its subject flow. A panic is a failed attempt. An event that can never be
// handled (its data cannot be decoded, it is no valid envelope, or the handler
// returns [Park]) is parked at once.
//
// Trouble that is not the event's fault counts no attempt: when the database
// does not answer, when the handler says [Outage] or returns an error that
// [Options.Outage] recognises, and when the context ends. Then Handle returns
// the error, the bus pauses and delivers again, and [Inbox.Ready] says why.
//
// Batches. Consecutive events for On handlers share one transaction; when one
// of them fails, the transaction is rolled back and repeated in parts until the
// guilty one is found. So an On handler can run several times for one attempt,
// and must do nothing that does not roll back. Consecutive events for Do
// handlers run concurrently, up to [Options.Concurrency], those of one subject
// one after the other.
//
// Several instances. On PostgreSQL each subject is locked (advisory locks,
// taken in one order) while its events are handled, so instances do not
// interleave one subject, however the bus spreads its events. Do handlers keep
// such a transaction open while they work. SQLite has one writer; Do handlers
// there rely on the bus not giving one subject to two processes at a time.
//
// Forgetting. An inbox row may go only when its event cannot come again. What
// can bring it back: the bus, after a consumer that died between commit and
// acknowledgement, which may stay stopped for days; the publisher's outbox,
// which keeps what it sent for 7 days; a backup of a publisher's database that
// is put back. So [Options.Retention] is 30 days, and never below
// [MinRetention]. Events that are held or parked stay known without a limit.
package inbox
