// Package outbox publishes what a state-stored service has to say: exactly what
// it committed, and nothing else.
//
// The promise. An event given to [Outbox.Add] is part of the caller's
// transaction. When that commits, the event reaches the bus at least once,
// whatever dies in between; when it rolls back, nobody hears of it. There is no
// dual write: the bus is told from the table, by [Outbox.Run].
//
// # Order
//
// The events of one subject are published in the order in which their
// transactions committed, as far as the first time counts: after trouble some
// come again, under the same id. With [Polling] this rests on a rule for
// callers: a transaction reads or writes the aggregate, so that the next one
// waits for it or fails, before it calls Add. With [Capture] the order is that
// of the commits, over all subjects, whatever the callers do, for as long as the
// stream runs; what waited when it began, and what is polled while there is none,
// rests on the same rule.
//
// Numbers are drawn before the commit, so on PostgreSQL a lower one can turn up
// after a higher one was published. That is no gap that could be skipped: every
// row has its own mark, and there is no position to move past it. Why neither a
// cursor nor a gate at the oldest transaction would do is told in
// docs/decisions/0007-the-order-of-the-outbox.md.
//
// # One publisher
//
// Any number of processes may call Run; one of them is active, elected by a
// [sqldb.Lease]. Rows are marked as sent only after the bus had them durably, in
// a transaction fenced by the lease's epoch, so a process that was paused and
// wakes up late can publish something twice, which consumers recognise by its
// id, but never mark what it did not send.
//
// # Failure
//
// When the bus cannot be reached, Run tries again for ever, with pauses that
// grow up to [Options.MaxPause]; services go on committing, and the rows wait.
// An event that the bus refuses for its own sake (eventbus.ErrInvalidEvent, or a
// command nobody listens to) is found by halving its window, and parked with
// the reason; the others flow. A person can look at parked ones
// ([Outbox.DeadLetters]), publish them after all ([Outbox.Redrive]) or drop
// them ([Outbox.Discard]).
//
// Whatever is asked of the database ends within [Options.StatementTimeout], and
// a connection that leads nowhere is replaced. A bus that has events whose mark
// did not commit gets them again, under the same ids.
//
// # Speed
//
// A window of up to [Options.Window] rows costs one query, one publish and one
// transaction of two round trips. While it is being published the next one is
// read, and the one before is marked; three windows are all that is in memory.
// A larger window helps a far broker, a smaller one makes repetitions after a
// crash fewer.
//
// A commit in the process of the active publisher wakes it at once, one in
// another process through NOTIFY on PostgreSQL, sent after the commit: in the
// transaction it would make all commits of the database wait for one lock.
// Polling, every [Options.Poll], stands behind both. With Capture the commit
// itself is the wake-up, wherever it happens.
//
// # History
//
// Rows that were sent stay, each with the number of its announcement, for ever
// or for [Options.Retention]: they are the service's history, which
// [Outbox.History] tells again to one consumer (package replay), and what
// [Outbox.Trace] shows. One process marks at a time, fenced, so the numbers of
// announcements become visible in their order, and a reader can go on from one.
//
// # Change data capture
//
// With [Capture] PostgreSQL sends the rows as they commit: a publication of the
// table's inserts, a replication slot for the service's database, the plugin
// pgoutput, one connection. It needs
//
//   - PostgreSQL 13 or later with wal_level = logical (a restart), and one of
//     max_replication_slots and of max_wal_senders for each service;
//   - a role with the attribute REPLICATION (ALTER ROLE packing REPLICATION)
//     that owns the table and may CREATE in the database. It lets the role
//     stream what it can connect to, so pg_hba.conf should keep it from
//     "replication" connections, which are those of whole servers;
//   - max_slot_wal_keep_size, for the day on which the service is gone and its
//     slot is not.
//
// Without the first two it publishes nothing, says so in [Outbox.Ready] and
// once in the log, and tries again: another way of reading than the one asked
// for would hide the mistake. Slot and publication are made by the first
// publisher, under a name of database, schema and table ([Options.Slot]).
//
// The table stays the truth. The stream says in what order rows committed, the
// table says whether one is still to be published, and the position of the slot
// is confirmed after the mark. So nothing hangs on the slot: when it is lost,
// dropped, or not ready yet, the publisher polls, makes another, and streams
// from there. Switching between the two readers takes a setting and a restart,
// either way, also while instances of both kinds run. Making a slot waits for
// every transaction of the server that is running, and publishing does not.
//
// A slot keeps the server's log. [Stats] shows how much, Ready speaks from
// [Options.SlotWarn] on, and above [Options.SlotMax] (the bus is down for a day)
// the publisher drops its slot and makes another when it can. What a service
// leaves behind: a publisher that polls drops a slot that nobody has read for
// [Options.SlotGrace]; for one that goes away for good call [Outbox.DropSlot], or
//
//	SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND slot_name LIKE 'of\_%';
//	DROP PUBLICATION of_...;
//
// A slot does not follow to a standby (before PostgreSQL 17, and unless asked
// to): after a failover there is none, and the publisher makes one. It waits
// with each event until the commit is visible, which with a synchronous standby
// is when the standby has it.
package outbox
