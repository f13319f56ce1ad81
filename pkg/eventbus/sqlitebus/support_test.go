package sqlitebus_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

const patience = 60 * time.Second

func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "bus.db")
}

func crm(batch int) eventbus.Queue {
	return eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: batch}
}

func placed(n int) eventbus.Event {
	return eventbus.Event{
		ID: fmt.Sprint("placed-", n), Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: "o1",
		Time: time.Unix(1_800_000_000, int64(n)).UTC(), Data: []byte("{}"), Sequence: int64(n),
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func closing[B eventbus.Bus](t *testing.T, bus B) B {
	t.Helper()
	t.Cleanup(func() {
		if err := bus.Close(within(t)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return bus
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-ticker.C:
		}
	}
}

func publish(t *testing.T, bus eventbus.Bus, events ...eventbus.Event) {
	t.Helper()
	if err := bus.Publish(within(t), events...); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

func subscribe(t *testing.T, bus eventbus.Bus, q eventbus.Queue, h eventbus.Handler) eventbus.Subscription {
	t.Helper()
	s, err := bus.Subscribe(within(t), q, h)
	if err != nil {
		t.Fatalf("subscribe %s: %v", q.Name, err)
	}
	return s
}

func declare(t *testing.T, bus eventbus.Bus, q eventbus.Queue) {
	t.Helper()
	if err := subscribe(t, bus, q, (&received{}).handle).Close(within(t)); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// received collects deliveries.
type received struct {
	mu   sync.Mutex
	list []eventbus.Delivery
}

func (r *received) handle(_ context.Context, batch []eventbus.Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, batch...)
	return nil
}

func (r *received) all() []eventbus.Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

func (r *received) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = nil
}

// has reports whether every event up to count has arrived.
func (r *received) has(count int) bool {
	seen := map[string]bool{}
	for _, d := range r.all() {
		seen[d.Event.ID] = true
	}
	for n := range count {
		if !seen[placed(n).ID] {
			return false
		}
	}
	return true
}

func (r *received) await(t *testing.T, count int) []eventbus.Delivery {
	t.Helper()
	eventually(t, fmt.Sprintf("%d deliveries", count), func() bool { return len(r.all()) >= count })
	return r.all()
}

// recv waits for a value.
func recv[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}
