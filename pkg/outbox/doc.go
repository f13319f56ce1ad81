// Package outbox publishes what a state-stored service has to say: exactly what
// it committed, and nothing else.
//
// The promise. An event given to [Outbox.Add] is part of the caller's
// transaction. When that commits, the event reaches the bus at least once,
// whatever dies in between; when it rolls back, nobody hears of it. There is no
// dual write: the bus is told from the table, by [Outbox.Run].
//
// Order. The events of one subject are published in the order in which their
// transactions committed, provided that a transaction reads or writes the
// aggregate, so that the next one waits for it or fails, before it calls Add:
// then its numbers are drawn after the commit of the one before, and nobody can
// see its rows without seeing that one's. The same holds across subjects for
// whatever a transaction could know of.
//
// Numbers are drawn before the commit, so on PostgreSQL a lower one can turn up
// after a higher one was published. That is no gap that could be skipped:
// every row has its own mark, and there is no position to move past it. Holding
// rows back until all older transactions ended (pg_snapshot_xmin), as a reader
// with a position must, would be wrong here: a transaction draws its id before
// it waits for the lock of the aggregate, so the ids of two transactions on one
// aggregate can be the other way round than their commits, and the later event
// would leave first.
//
// One publisher. Any number of processes may call Run; one of them is active,
// elected by a [sqldb.Lease]. Rows are marked as sent only after the bus had
// them durably, in a transaction fenced by the lease's epoch, so a process that
// was paused and wakes up late can publish something twice, which consumers
// recognise by its id, but never mark what it did not send.
//
// Failure. When the bus cannot be reached, Run tries again for ever, with
// pauses that grow up to [Options.MaxPause]; services go on committing, and
// the rows wait. An event that the bus refuses for its own sake
// (eventbus.ErrInvalidEvent, or a command nobody listens to) is found by
// halving its window, and parked with the reason; the others flow. A person
// can look at parked ones ([Outbox.DeadLetters]), publish them after all
// ([Outbox.Redrive]) or drop them ([Outbox.Discard]).
//
// Speed. A commit in the process of the active publisher wakes it at once, one
// in another process through NOTIFY on PostgreSQL; polling stands behind both.
// Each window of up to [Options.Window] rows costs one query, one publish and
// one transaction.
package outbox
