// Package protocoltest is what clients of the EventStoreDB protocol rely on, as tables of rules: what a writer may
// expect, what a repeated append is, what deletion and metadata hide, where reads and subscriptions begin and end, and how
// errors are told. They are for every server of the protocol, the original included.
//
// The rules are asked through the official Go client, or where that says too little through the generated one. Each writes
// to streams with a random prefix of its own and looks at nothing else in $all. So a server may hold other events, others
// may write to it meanwhile, and the suite may run again on the same server.
//
// A rule that needs what a server elsewhere cannot be given, a restart or another clock, is skipped there. So is one that
// the original answers differently; the table then says how.
package protocoltest
