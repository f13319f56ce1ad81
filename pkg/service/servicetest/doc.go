// Package servicetest runs one service in the test's own process, with
// everything around it that it needs, so that a test can be its client over HTTP
// and its neighbours on the bus.
//
// The promise. A service made by [New] has an event bus of its own and, when it
// is asked for, an event store; the database is the one that the test names.
// Nothing is shared between tests, ports are chosen by the system while the
// service listens on them, and everything is gone when the test ends. The test
// fails when the service ends with an error, and prints its log then.
//
// Calls on a [Service] may come from several goroutines, but for Start and the
// stop that it returns. What a check on an [Answer] finds is an error of the
// test that the service was made for, unless [Answer.In] names a subtest.
package servicetest
