package inbox

import "sync/atomic"

// Stats counts since the start of the process.
type Stats struct {
	Handled    int64 // events whose effect committed here
	Duplicates int64 // events that came again
	Unknown    int64 // events without a handler, acknowledged and forgotten
	Failed     int64 // attempts that failed and count as the event's fault
	Held       int64 // events put aside, whether they failed or were behind one that did
	Parked     int64 // events left to a person
	Dead       int64 // those among them that the broker had given up on
}

type counters struct {
	handled, duplicates, unknown, failed, held, parked, dead atomic.Int64
}

// add counts what a transaction did, once it has committed.
func (c *counters) add(s Stats) {
	c.handled.Add(s.Handled)
	c.duplicates.Add(s.Duplicates)
	c.unknown.Add(s.Unknown)
	c.failed.Add(s.Failed)
	c.held.Add(s.Held)
	c.parked.Add(s.Parked)
	c.dead.Add(s.Dead)
}

// Stats returns the counters of this process.
func (in *Inbox) Stats() Stats {
	c := &in.counters
	return Stats{
		Handled: c.handled.Load(), Duplicates: c.duplicates.Load(), Unknown: c.unknown.Load(),
		Failed: c.failed.Load(), Held: c.held.Load(), Parked: c.parked.Load(), Dead: c.dead.Load(),
	}
}
