package eventlog

import (
	"cmp"
	"context"
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

	// waiters are those who wait for events of one stream only: a thousand of them cost nothing while events of other
	// streams are written.
	waiters map[string]*streamWaiters
}

// streamWaiters wait for the next event of their stream.
type streamWaiters struct {
	wake  chan struct{}
	count int
	from  int64 // nothing of the stream lies between where they waited and this position; set before wake is closed
}

func newTail(last int64) *tail {
	return &tail{dropped: last, last: last, wake: make(chan struct{}), waiters: map[string]*streamWaiters{}}
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
	before := t.last
	for _, e := range events {
		if w, ok := t.waiters[e.Stream]; ok {
			w.from = before
			close(w.wake)
			delete(t.waiters, e.Stream)
		}
		before = e.Position
	}
	t.last = before
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
	return recordOverhead + len(e.Stream) + len(e.Type) + len(e.Data) + len(e.Metadata)
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
	rest := t.behind(position)
	if len(rest) == 0 {
		t.waiting = true
		return buf, t.wake, true
	}
	return append(buf, rest[:min(len(rest), cap(buf)-len(buf))]...), nil, true
}

// behind is what is kept of the events behind position.
func (t *tail) behind(position int64) []*Event {
	first, found := slices.BinarySearchFunc(t.events, position, func(e *Event, p int64) int { return cmp.Compare(e.Position, p) })
	if found {
		first++
	}
	return t.events[first:]
}

// AfterInStream is After for the events of one stream, and waits for them itself until ctx ends. next is the position to
// ask with the next time.
func (l *Log) AfterInStream(ctx context.Context, stream string, position int64, buf []*Event) (events []*Event, next int64, ok bool, err error) {
	for {
		var wait *streamWaiters
		if events, next, wait, ok = l.tail.inStream(stream, position, buf); wait == nil {
			return events, next, ok, ctx.Err()
		}
		select {
		case <-wait.wake:
			position = wait.from
		case <-ctx.Done():
			l.tail.leave(stream, wait)
			return buf, position, true, ctx.Err()
		}
	}
}

// inStream appends to buf what is kept of a stream behind position. When there is nothing it enlists the caller as waiting.
func (t *tail) inStream(stream string, position int64, buf []*Event) (events []*Event, next int64, wait *streamWaiters, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if position < t.dropped {
		return buf, position, nil, false
	}
	for _, e := range t.behind(position) {
		if e.Stream != stream {
			continue
		}
		if len(buf) == cap(buf) {
			return buf, buf[len(buf)-1].Position, nil, true
		}
		buf = append(buf, e)
	}
	next = max(position, t.last)
	if len(buf) > 0 {
		return buf, next, nil, true
	}
	w, enlisted := t.waiters[stream]
	if !enlisted {
		w = &streamWaiters{wake: make(chan struct{})}
		t.waiters[stream] = w
	}
	w.count++
	return buf, next, w, true
}

// leave strikes off somebody who waits no longer.
func (t *tail) leave(stream string, w *streamWaiters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.count--; w.count == 0 && t.waiters[stream] == w {
		delete(t.waiters, stream)
	}
}
