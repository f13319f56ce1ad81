package fulfilment

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotInTable says that a process stands in a state, or waits for something,
// that the table of this program does not have: a newer release has led it
// there. What such a process hears must wait for a program that knows more.
var ErrNotInTable = errors.New("not in this release's table of fulfilment")

// Process is the state of the process of one order. The zero value has not
// begun.
type Process struct {
	State      State
	CustomerID string
	// Since is when the stage began that the order is in: when it was placed, or
	// packed. Deadlines count from there.
	Since time.Time
	// Reason is why the order was cancelled.
	Reason string
	// Deadline is that of State.
	Deadline Deadline
}

// Deadline is a moment at which a process hears something if it has heard
// nothing else until then. The zero value is none.
type Deadline struct {
	Kind  Trigger
	DueAt time.Time // UTC, to the microsecond
}

// Is reports whether two deadlines are the same.
func (d Deadline) Is(other Deadline) bool { return d.Kind == other.Kind && d.DueAt.Equal(other.DueAt) }

// Event is a step of a process. It tells the state that it leads to and the
// deadline there, so that a stream means the same when the table, or a setting,
// is another one.
type Event struct {
	Name     Name
	State    State
	Deadline Deadline

	CustomerID string   // Begun, Delayed
	Missed     Deadline // Delayed, Expired
	Reason     string   // Expired, Cancelled, ReturnRequested
	// At is when the order was placed, packed, cancelled or dispatched, the goods
	// came back, or the deadline was found to have passed.
	At time.Time
}

// Heard is something that a process hears.
type Heard struct {
	Trigger    Trigger
	CustomerID string    // OrderPlaced
	Reason     string    // OrderCancelled
	DueAt      time.Time // deadlines: when they were due
	At         time.Time
}

// Rules decide what follows from what is heard. Safe for concurrent use.
type Rules struct {
	table  map[State]map[Trigger]Step
	limits map[Trigger]time.Duration
}

// NewRules returns the table with the deadlines of the settings.
func NewRules(s Settings) Rules {
	return Rules{table: table(), limits: map[Trigger]time.Duration{
		PackOverdue: s.PackWithin, PackExpired: s.CancelUnpackedAfter,
		DispatchOverdue: s.DispatchWithin, DispatchExpired: s.CancelUndispatchedAfter,
	}}
}

// Step is what the table says; ok is false for what it does not know.
func (r Rules) Step(s State, t Trigger) (step Step, ok bool) {
	step, ok = r.table[s][t]
	return step, ok
}

// Decide returns the event that follows from what was heard: one, or none when it
// changes nothing. A deadline counts only when it is the process's own: one that
// was replaced, or is another process's idea of time, does nothing. What the
// table does not have is [ErrNotInTable], and never "changes nothing".
func (r Rules) Decide(p Process, heard Heard) ([]Event, error) {
	step, ok := r.Step(p.State, heard.Trigger)
	if !ok {
		return nil, fmt.Errorf("%q heard in state %q: %w", heard.Trigger, p.State, ErrNotInTable)
	}
	if step == (Step{}) {
		return nil, nil
	}
	e := Event{Name: step.Event, State: step.Next, At: heard.At, Reason: heard.Reason}
	since := p.Since
	switch step.Event {
	case Begun:
		e.CustomerID, since = heard.CustomerID, heard.At
	case Packed:
		since = heard.At
	case Delayed, Expired:
		if !p.Deadline.Is(Deadline{heard.Trigger, heard.DueAt}) {
			return nil, nil
		}
		e.Missed = p.Deadline
		if step.Event == Delayed {
			e.CustomerID = p.CustomerID
		} else {
			e.Reason = reasonOf(heard.Trigger)
		}
	case ReturnRequested:
		if e.Reason == "" { // what was heard is that it was packed; why it was cancelled is known from before
			e.Reason = p.Reason
		}
	case Cancelled, Returned, Completed:
	}
	if kind := DeadlineOf(step.Next); kind != "" {
		due := since.Add(r.limits[kind])
		if step.Event == Delayed {
			// However late it was noticed: nobody is told that an order is late and, at once, that it is cancelled.
			due = heard.At.Add(r.limits[kind] - r.limits[heard.Trigger])
		}
		e.Deadline = Deadline{kind, due.UTC().Truncate(time.Microsecond)}
	}
	return []Event{e}, nil
}

// reasonOf is why an order is cancelled whose deadline has passed.
func reasonOf(t Trigger) string {
	if t == PackExpired {
		return "not packed in time"
	}
	return "not dispatched in time"
}

// Apply returns the process after an event.
func Apply(p Process, e Event) Process {
	p.State, p.Deadline = e.State, e.Deadline
	switch e.Name {
	case Begun:
		p.CustomerID, p.Since = e.CustomerID, e.At
	case Packed:
		p.Since = e.At
	case Cancelled, ReturnRequested:
		p.Reason = e.Reason
	case Delayed, Expired, Returned, Completed:
	}
	return p
}
