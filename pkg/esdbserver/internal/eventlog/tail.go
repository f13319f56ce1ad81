package eventlog

import (
	"slices"
	"sync"
)

// The tail keeps at most so many events and bytes in memory.
const (
	tailEvents = 8192
	tailBytes  = 16 << 20
)

// tail holds the events committed most recently and wakes those who follow the log.
type tail struct {
	mu      sync.Mutex
	events  []*Event // growing by position
	bytes   int
	dropped int64 // every event at or below this position is no longer, or never was, in events
	last    int64 // position of the last committed event
	wake    chan struct{}
	waiting bool
}

func newTail(last int64) *tail {
	return &tail{dropped: last, last: last, wake: make(chan struct{})}
}

// publish adds committed events and wakes everybody who waits.
func (t *tail) publish(events []*Event) {
	if len(events) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, events...)
	for _, e := range events {
		t.bytes += e.footprint()
	}
	t.last = events[len(events)-1].Position
	t.trim()
	if t.waiting {
		close(t.wake)
		t.wake, t.waiting = make(chan struct{}), false
	}
}

// trim lets go of the oldest events.
func (t *tail) trim() {
	n := 0
	for len(t.events)-n > tailEvents || t.bytes > tailBytes && n < len(t.events) {
		t.bytes -= t.events[n].footprint()
		t.dropped = t.events[n].Position
		t.events[n] = nil
		n++
	}
	t.events = t.events[n:]
}

func (e *Event) footprint() int {
	return recordOverhead + len(e.Type) + len(e.Data) + len(e.Metadata)
}

// LastPosition is the position of the last committed event, 0 when there is none.
func (l *Log) LastPosition() int64 {
	l.tail.mu.Lock()
	defer l.tail.mu.Unlock()
	return l.tail.last
}

// After appends to buf the committed events behind position, in order, up to the capacity of buf. When there are none it
// returns a channel that is closed when there may be. It returns ok false when events behind position are no longer kept
// in memory: the caller has fallen behind and reads them from the log.
func (l *Log) After(position int64, buf []*Event) (events []*Event, wait <-chan struct{}, ok bool) {
	t := l.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if position < t.dropped {
		return buf, nil, false
	}
	first, found := slices.BinarySearchFunc(t.events, position, func(e *Event, p int64) int {
		switch {
		case e.Position < p:
			return -1
		case e.Position > p:
			return 1
		}
		return 0
	})
	if found {
		first++
	}
	rest := t.events[first:]
	if len(rest) == 0 {
		t.waiting = true
		return buf, t.wake, true
	}
	return append(buf, rest[:min(len(rest), cap(buf)-len(buf))]...), nil, true
}
