// Package eventbustest is the promise of package eventbus as a suite of tests
// that every implementation passes.
//
// Each test has a bus of its own, which no other test sees, and opens it as
// often as the story needs: two openings stand for two services, or for two
// instances of one. Nothing here waits for time to pass: the tests wait for
// conditions.
package eventbustest
