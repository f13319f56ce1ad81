// Package eventbustest is the promise of package eventbus as a suite of tests
// that every implementation passes.
//
// Each test has a bus of its own, which no other test sees, and opens it as
// often as the story needs: two openings stand for two services, or for two
// instances of one. Nothing here waits for time to pass: the tests wait for
// conditions.
//
// A test's name is the promise it shows. Two of them draw what they do: any event
// that is valid arrives as it was published, and any interleaving of publishing,
// subscribing, failing, closing, reopening and interrupting hands everything out
// in order. They try a few cases each time; TEST_LONG=1 makes them a hundred, and
// fills queues with 50,000 events.
//
// [Benchmark] measures an implementation beside its client library alone.
package eventbustest
