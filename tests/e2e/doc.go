// Package e2e tests the whole system from outside: as the people who use it see
// it, over HTTP, with nothing inside of it replaced.
//
// One suite runs in two arrangements. TestEmbedded runs it on what `make up`
// starts on a machine that has nothing but Go: one process with the embedded
// servers. TestSeparateProcesses runs it on what production looks like: every
// service a process of its own, on PostgreSQL and RabbitMQ. Where RabbitMQ is
// installed the broker is one of the test's own, which can be stopped. Otherwise
// servers are used where they answer at their usual addresses (TEST_DATABASE_URL
// and TEST_EVENTBUS_URL name others), started in containers where Docker answers,
// and where neither is the case the arrangement is skipped, or fails with
// REQUIRE_REAL=1. ESDB_URL names an event store to use, which has to be empty.
//
// A test is a script: people of the world do things, and the test says what
// everybody sees in the end.
//
//	anna := w.Customer("Anna")
//	w.Product("tea", 450, "EUR")
//	order := anna.Orders(line("tea", 2))
//	w.Packer().Packs(order)
//	w.Dispatcher().Dispatches(order)
//	order.Becomes("dispatched")
//
// The scripts of an arrangement share one running system. Each has customers,
// products and orders of its own. When all are done, every order that any of
// them has placed must be in every read model exactly once, as the order's own
// stream has it.
//
// Orders whose deadlines pass have systems of their own, with deadlines of a few
// seconds.
//
// TEST_LONG=1 makes the crash tests larger, and adds an arrangement of separate
// processes on the embedded servers.
package e2e
