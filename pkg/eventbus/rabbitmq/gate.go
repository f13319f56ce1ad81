package rabbitmq

import (
	"sync"
	"time"
)

// gate says whether the broker takes publishes: it blocks them while it is
// short of memory or disk.
type gate struct {
	clock *stopwatch

	mu     sync.Mutex
	opened chan struct{} // closed while open
	why    string        // empty while open
}

func newGate(clock *stopwatch) *gate {
	g := &gate{clock: clock, opened: make(chan struct{})}
	close(g.opened)
	return g
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why == "" {
		return
	}
	g.why = ""
	g.clock.stop()
	close(g.opened) // lets those go on who wait
}

func (g *gate) block(why string) {
	if why == "" {
		why = "no reason given"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why == "" {
		g.opened = make(chan struct{})
		g.clock.start()
	}
	g.why = why
}

// wait is closed while the gate is open.
func (g *gate) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// reason is empty while the gate is open.
func (g *gate) reason() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

// stopwatch adds up the times between start and stop, across any number of
// sessions. The zero value shows nothing and stands still.
type stopwatch struct {
	mu    sync.Mutex
	total time.Duration
	since time.Time // zero while it stands still
}

func (w *stopwatch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
}

func (w *stopwatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.total += time.Since(w.since)
	w.since = time.Time{}
}

func (w *stopwatch) elapsed() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return w.total
	}
	return w.total + time.Since(w.since)
}
