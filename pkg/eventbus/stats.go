package eventbus

import (
	"time"

	"orderflow/pkg/histogram"
)

// Stats counts what a bus has done since it was opened. The numbers only grow,
// except those that say "at the moment".
type Stats struct {
	// Published counts events stored durably.
	Published int64
	// UnknownOutcomes counts publishes whose outcome the bus could not learn and
	// which it therefore sent again with the same id.
	UnknownOutcomes int64
	// Unroutable counts commands that no queue took.
	Unroutable int64
	// Delivered counts deliveries handed to handlers, repetitions included.
	Delivered int64
	// Redelivered counts those among them that may have been handed out before.
	Redelivered int64
	// Malformed counts those among them that were no valid envelope.
	Malformed int64
	// Acknowledged counts deliveries removed from their queue.
	Acknowledged int64
	// HandlerFailures counts batches whose handler returned an error or panicked.
	HandlerFailures int64
	// Reconnects counts connections made after the first.
	Reconnects int64
	// InFlight is how many events wait for the bus at the moment: all those of
	// the calls of Publish that have not returned yet.
	InFlight int64
	// Blocked says that the broker refuses to take events at the moment.
	Blocked bool
	// BlockedFor is how long the broker has refused to take events so far, the
	// present time included.
	BlockedFor time.Duration

	// ConfirmTime is how long, in seconds, the bus took to confirm an event after it was
	// sent: one duration for each event that was confirmed.
	ConfirmTime histogram.Histogram
	// HandlerTime is how long, in seconds, handlers took: one duration for each attempt,
	// also for those that failed.
	HandlerTime histogram.Histogram
	// Lag is how old, in seconds, events were when they were handled: the time from
	// [Event.Time] to the end of the handler, one duration for each event that
	// was acknowledged. It is only as good as the clocks of both machines.
	Lag histogram.Histogram
}

// Reporter is a bus that counts; every bus of this module does.
type Reporter interface {
	// Stats reads the counters. Cheap, safe for concurrent use; the counters
	// are read one by one, so they need not agree with each other.
	Stats() Stats
}
