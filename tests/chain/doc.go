// Package chain proves the whole way of an event while everything on it is
// killed, cut off and paused at random: from the event store through a relay,
// the bus, an inbox, a read model and an outbox, the bus again, and a second
// inbox.
//
//	writers ─▶ event store ─▶ relays ─▶ bus ─▶ packing: inbox, rows, outbox ─▶ bus ─▶ crm: inbox, rows
//
// Three relays and three consumers run as processes of their own (the test
// binary starts itself again), and the event store is one too. In the end every
// committed event must be in every read model exactly once, in the order of its
// stream, and nothing else may be there.
//
// A run takes about ten seconds of faults, a minute with TEST_LONG=1. It prints
// the seed of its random choices; CHAIN_SEED=N repeats them. What the processes
// said is in files whose last lines are shown when a run fails.
package chain
