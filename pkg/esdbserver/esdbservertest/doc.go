// Package esdbservertest starts an event store for a test and takes it down again. A whole test:
//
//	func TestPlacingAnOrderTwiceWritesItOnce(t *testing.T) {
//		store := esdbservertest.New(t)
//		client := store.Client(t)
//		store.FailAppends(esdbservertest.AnswerLost())
//		for place(client, "1") != nil { // tries again until it is told that it worked
//			client = store.Client(t)
//		}
//		if events := store.Events(t, "order-1"); len(events) != 1 {
//			t.Errorf("%d events, want 1", len(events))
//		}
//	}
//
// The store answers on a port of its own on the loopback interface, with the code that also runs in production. What it
// is asked to do wrong it does in front of that code, in interceptors.
//
// # Starting
//
// New starts a store that keeps its events in memory; InDir gives it a directory, Secure makes it ask who calls (over TLS,
// with a certificate of its own; ClientFor connects as somebody), Configure changes everything else. It is
// stopped when the test ends. Stop and Start play a restart: the port stays the same, and so do the events of a store
// that has a directory. Between the two, connections are refused.
//
// Client connects the official client; ConnectionString is for code that connects by itself. That client can leave
// goroutines behind: ClientLeaks tells goleak which.
//
// # Writing and looking
//
// Append writes past the code under test. Events and All read what there is now, Await waits for what is still to come.
// None of them is hindered by what the store is asked to do wrong: a test can look, and write in between, meanwhile.
// The clock is real until SetClock stops it; Advance moves it on, and what waits for a time ($maxAge, the timeouts of
// persistent subscriptions) looks at it at once.
//
// # Going wrong
//
//	FailAppends        the next appends fail, each in its own way: Refused, TimedOut, WrongVersion (nothing is written),
//	                   Written, AnswerLost (it is written, and the writer is not told)
//	HoldAppends        appends arrive and wait until they are released: for two writers who meet
//	HoldEvents         events wait before they are delivered: for a reader who lags behind
//	SlowCalls          every call takes longer
//	SlowEvents         every event for a subscription does
//	DropSubscriptions  subscriptions end; subscribing again works
//	CutConnections     connections break; new ones work
//	Unavailable        every call is refused until it is released
//
// All of these may be called at any time and from any goroutine. They outlive Stop and Start, and end with the test.
// BatchAppend and deletions are slowed down and refused like other calls, but FailAppends and HoldAppends leave them
// alone: the Go clients append with Append.
package esdbservertest
