package esdbservertest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/status"
)

// patience is how long a test waits for what must come, however busy the machine is.
const patience = 30 * time.Second

// Hold is a gate that something waits at until the test lets it go.
type Hold struct {
	limit    time.Duration // how long each waits at most; 0 is until Release
	leave    func()        // takes the gate away
	released chan struct{}

	mu      sync.Mutex
	arrived int
	news    chan struct{} // closed at the next arrival
}

// Await waits until n have arrived at the gate since it was set up.
func (h *Hold) Await(t testing.TB, n int) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		h.mu.Lock()
		arrived, news := h.arrived, h.news
		h.mu.Unlock()
		if arrived >= n {
			return
		}
		select {
		case <-news:
		case <-deadline.C:
			t.Fatalf("%d arrived, waited for %d in vain", arrived, n)
		}
	}
}

// Release lets everything go that waits, and takes the gate away. Releasing twice is no error.
func (h *Hold) Release() {
	h.leave()
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.released:
	default:
		close(h.released)
	}
}

// pass waits at the gate. It fails when the call ends first.
func (h *Hold) pass(ctx context.Context) error {
	h.mu.Lock()
	h.arrived++
	close(h.news)
	h.news = make(chan struct{})
	h.mu.Unlock()
	var limit <-chan time.Time
	if h.limit > 0 {
		timer := time.NewTimer(h.limit)
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case <-h.released:
		return nil
	case <-limit:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// gates are those that stand on one way, one behind the other.
type gates struct {
	mu   sync.Mutex
	list []*Hold
}

// add sets a gate up at which each waits for d, or until it is released when d is 0.
func (g *gates) add(d time.Duration) *Hold {
	h := &Hold{limit: d, released: make(chan struct{}), news: make(chan struct{})}
	h.leave = func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.list = slices.DeleteFunc(g.list, func(other *Hold) bool { return other == h })
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = append(g.list, h)
	return h
}

func (g *gates) pass(ctx context.Context) error {
	g.mu.Lock()
	list := slices.Clone(g.list)
	g.mu.Unlock()
	for _, h := range list {
		if err := h.pass(ctx); err != nil {
			return err
		}
	}
	return nil
}
