// Package rebuild makes a read model anew beside the live one, while traffic
// flows, compares the two, and puts the new one in the place of the old.
//
// The promise. Readers see the old model until the swap and the new one from
// then on, and never none. Nothing is announced and nothing is sent: what the
// handlers write besides the model is thrown away with the place it was written
// in. When the swap is made the new model has every event that the live one has.
//
// # How
//
// A read model is a function of events, so the new one is made by the same
// code, on tables of the same names in another place: a schema beside the live
// one on PostgreSQL, a file beside it on SQLite. What fills it is a [Feed]: the
// bus ([FromBus]: a queue and an inbox of its own, into which history is
// replayed, package replay), or the service's own log.
//
//	          Begin                Finish
//	(nothing) ─────▶ preparing ─▶ filling ─────▶ same ──▶ (asked to swap) removing ─▶ swapped
//	                                │    └─────▶ differs ─▶ (anyway) ──────┘
//	                                └ Cancel ─▶ cancelling ─▶ cancelled
//
// The state is a row beside the live model: a rebuild goes on after a restart,
// and one process works on it, under a lease.
//
// # The comparison
//
// Each row of the tables that a [Model] names is compared in one snapshot on
// either side, in all columns but those it leaves out. What follows from rows and
// is never at rest, such as sums, is compared with these rows ([Model.Derived]).
// What differs is excused while an event of its subject has been
// taken in by one model and not by the other, and looked at again until it is
// not. What differs then, or for [Options.Patience] on end, is a difference: the
// live model is wrong there, or has no event that history has. It keeps the
// swap from being made, unless that is asked for whatever differs. So a subject of
// which events come without a pause for as long as that may be told as one that
// differs, with the remark that one model lacks an event of it.
//
// Differences are kept beside the live model until the next rebuild. Values of
// columns that tell who somebody is ([Table.Personal]) are not among them.
//
// # In bounded memory
//
// What is read of the history is in memory window by window, rows are compared as
// they are read, and at most 2,000 that differ wait for their excuse at a time. A
// history ten times as long takes no more.
//
// # The swap
//
// One transaction. It keeps writers out of the live tables, waits until the new
// model has every event that the live one has, and then, on PostgreSQL, drops
// the old tables and moves the new ones to their place. Readers wait too for as
// long, which is milliseconds; should the new model not catch up within a second
// everybody is let go, and it is tried again. The lease cannot be renewed
// meanwhile, and need not be: the transaction is fenced. On SQLite it exchanges the rows: writers wait about five seconds
// for a million of them, readers do not. An event that only the new model had
// is handled once more on it, which guarantee 5 makes harmless.
//
// # Somebody is forgotten meanwhile
//
// The new model hears of it as the live one does, and its place is scrubbed as
// the live database is. What is kept of a comparison names the columns that tell
// of somebody ([Table.Personal]) and not what is in them, and of an event that
// could not be taken in that it was (inbox.Options.Personal), and not why.
//
// # What must not be rebuilt
//
// Tables that hold what people decided, or what was done in the world (a mail
// that was sent), are state: nothing else knows it. A Model names the tables
// that follow from events alone.
package rebuild
