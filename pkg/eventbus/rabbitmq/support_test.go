package rabbitmq_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

const patience = 30 * time.Second

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

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func placed(n int) eventbus.Event {
	return eventbus.Event{
		ID: fmt.Sprint("placed-", n), Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: "o1",
		Time: time.Unix(1_800_000_000, int64(n)).UTC(), DataContentType: "application/json", Data: []byte("{}"), Sequence: int64(n),
	}
}

// closing closes the bus with the test.
func closing(t *testing.T, bus eventbus.Bus) eventbus.Bus {
	t.Helper()
	t.Cleanup(func() {
		if err := bus.Close(within(t)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return bus
}

// subscribe consumes the queue crm.
func subscribe(t *testing.T, bus eventbus.Bus, h eventbus.Handler, patterns ...string) eventbus.Subscription {
	t.Helper()
	s, err := bus.Subscribe(within(t), eventbus.Queue{Name: "crm", Patterns: patterns}, h)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	return s
}

func publish(t *testing.T, bus eventbus.Bus, events ...eventbus.Event) {
	t.Helper()
	if err := bus.Publish(within(t), events...); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// ready is how many messages wait in a queue, seen past the bus.
func (w *world) ready(t *testing.T, queue string) int {
	t.Helper()
	ch := w.channel(t)
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(w.namespace+"."+queue, true, false, false, false, nil)
	if err != nil {
		t.Fatalf("look at %s: %v", queue, err)
	}
	return q.Messages
}

// removeQueue deletes a queue past the bus, with all that is in it.
func (w *world) removeQueue(t *testing.T, queue string) {
	t.Helper()
	ch := w.channel(t)
	defer ch.Close()
	if _, err := ch.QueueDelete(w.namespace+"."+queue, false, false, false); err != nil {
		t.Fatalf("remove %s: %v", queue, err)
	}
}

// peek reads what is in a queue and leaves it there.
func (w *world) peek(t *testing.T, queue string) (bodies []string) {
	t.Helper()
	ch := w.channel(t)
	defer ch.Close()
	for {
		m, ok, err := ch.Get(w.namespace+"."+queue, false)
		if err != nil {
			t.Fatalf("get from %s: %v", queue, err)
		}
		if !ok {
			return bodies
		}
		bodies = append(bodies, string(m.Body))
	}
}

// received collects deliveries.
type received struct {
	mu    sync.Mutex
	list  []eventbus.Delivery
	seen  map[string]bool
	first []eventbus.Event // in the order of their first arrival
}

func (r *received) handle(_ context.Context, batch []eventbus.Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, batch...)
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	for _, d := range batch {
		if !r.seen[d.Event.ID] {
			r.seen[d.Event.ID] = true
			r.first = append(r.first, d.Event)
		}
	}
	return nil
}

func (r *received) all() []eventbus.Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// firstEvents are the events in the order of their first arrival.
func (r *received) firstEvents() []eventbus.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.first)
}

func (r *received) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[id]
}

// count is how many different events have arrived.
func (r *received) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.first)
}

// firsts are the ids of the events in the order of their first arrival.
func (r *received) firsts() (ids []string) {
	for _, e := range r.firstEvents() {
		ids = append(ids, e.ID)
	}
	return ids
}

func (r *received) await(t *testing.T, count int) []eventbus.Delivery {
	t.Helper()
	eventually(t, fmt.Sprintf("%d deliveries", count), func() bool { return len(r.all()) >= count })
	return r.all()
}

func nothing(context.Context, []eventbus.Delivery) error { return nil }
