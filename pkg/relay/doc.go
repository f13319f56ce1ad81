// Package relay announces what an event-sourced service has committed: it
// follows the event store's log, translates domain events into integration
// events, and publishes them on the bus.
//
// The promise. Nothing is announced that did not commit, because the log is all
// that is read; everything that committed is announced, because the checkpoint
// moves only over events the bus has confirmed, without a gap. A relay that dies
// in between publishes the last windows again, with the same ids, which
// consumers recognise (package inbox).
//
// Order. The events of one aggregate are announced in the order of its stream;
// those of one commit together. A consumer that drops repetitions sees them in
// that order also when relays die, are paused, or publish side by side: each of
// them begins at a checkpoint and publishes from there without a gap, so
// whichever announces an event first, the ones before it are announced by then.
// What a person redrives arrives late, and what a bus refuses for a while and
// takes later (see its documentation) does too.
//
// Three stages work side by side, each on a window of its own:
//
//	follow, translate ──▶ publish, wait for the confirms ──▶ note, move the checkpoint
//
// There is never more than one window being published: a second one could
// overtake what has to be repeated of the first.
//
// One relay is active per service: a lease in the service's database elects it.
// When its process is killed another one takes over within five seconds: the
// lease lives for [DefaultLeaseTTL], whoever stands by asks at its end, and the
// rest is for reading the checkpoint and following. One that stops in good order
// is followed at once. A lease cannot stop a process that is paused; so every
// move of the checkpoint is fenced by the lease's epoch, and one that wakes up
// late moves nothing. What it may still publish is known by its ids. On
// PostgreSQL a process that is paused inside a transaction keeps nobody waiting:
// the server ends the transaction after five seconds. On SQLite it keeps the
// file locked for as long as it is paused.
//
// Failure.
//
//	the bus does not confirm        the relay waits; Ready says so after 15 s
//	the database does not answer    Run ends with the error; call it again
//	the subscription ends           the same
//	the subscription falls silent   it is made anew when the log has gone on for 10 s without it
//	an event cannot be announced    it is parked, and the later ones go on
//
// An event cannot be announced when its metadata is unreadable, Translate
// refuses it, panics, or gives two announcements the same id, or the bus refuses
// what it became. It is parked with its position and the reason
// ([Relay.DeadLetters], [Relay.ParkedCount]); [Relay.Redrive] tries it again,
// [Relay.Discard] gives it up. Errors of Translate that pass by themselves are
// for [Config.Temporary] to recognise.
//
// What to watch. [Relay.Stalled] grows while the active relay is behind the log
// and does not get any further, or fails again and again, also between two
// attempts: alert on it. [Relay.Lag] says how much waits, from any process.
// [Relay.Ready] turns to an error with what is waited for, or what failed last.
//
// Tuning. [Config.Window] is how many integration events a publish takes; at
// the end of each window the last confirm is waited for, so larger ones are
// faster, and more is repeated after a crash (up to four windows). It fills
// only when there is a backlog: an event that is alone is published at once.
// Memory is bounded by the windows on their way and 32 MiB of payloads. A
// shorter [Config.LeaseTTL] takes over sooner, and takes the turn from a process
// that is merely slow.
package relay
