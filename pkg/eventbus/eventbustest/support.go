package eventbustest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

// patience is how long a condition may take before a test fails; no test ever
// waits for it when all is well.
const patience = 60 * time.Second

// placed makes the n-th event of an order.
func placed(order string, n int) eventbus.Event { return event("order.events.placed.v1", order, n) }

func event(typ, subject string, n int) eventbus.Event {
	return eventbus.Event{
		ID:       fmt.Sprintf("%s-%s-%d", typ, subject, n),
		Source:   "/orderflow/order",
		Type:     typ,
		Subject:  subject,
		Time:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Millisecond),
		Data:     fmt.Appendf(nil, `{"n":%d}`, n),
		Sequence: int64(n),
	}
}

// series makes count events of one order.
func series(order string, count int) []eventbus.Event {
	events := make([]eventbus.Event, count)
	for n := range events {
		events[n] = placed(order, n)
	}
	return events
}

func ids(events []eventbus.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.ID
	}
	return list
}

// open opens the bus and closes it with the test.
func open(t testing.TB, h Harness) eventbus.Bus {
	t.Helper()
	bus := h.Open(t)
	t.Cleanup(func() {
		if err := bus.Close(within(t)); err != nil {
			t.Errorf("close the bus: %v", err)
		}
	})
	return bus
}

// within bounds one call; it outlives the test's own context, for cleanups.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func publish(t testing.TB, bus eventbus.Bus, events ...eventbus.Event) {
	t.Helper()
	if err := bus.Publish(within(t), events...); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

func subscribe(t testing.TB, bus eventbus.Bus, q eventbus.Queue, h eventbus.Handler) eventbus.Subscription {
	t.Helper()
	s, err := bus.Subscribe(within(t), q, h)
	if err != nil {
		t.Fatalf("subscribe %s: %v", q.Name, err)
	}
	return s
}

// declare makes the queue and leaves nobody to consume it.
func declare(t testing.TB, bus eventbus.Bus, q eventbus.Queue) {
	t.Helper()
	s := subscribe(t, bus, q, func(context.Context, []eventbus.Delivery) error { return nil })
	closeSubscription(t, s)
}

func closeSubscription(t testing.TB, s eventbus.Subscription) {
	t.Helper()
	if err := s.Close(within(t)); err != nil {
		t.Fatalf("close the subscription: %v", err)
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
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

func depth(t testing.TB, bus eventbus.Bus, queue string) int {
	t.Helper()
	n, err := bus.Depth(within(t), queue)
	if err != nil {
		t.Fatalf("depth: %v", err)
	}
	return n
}

// inbox is a consumer that remembers what it was handed.
type inbox struct {
	mu      sync.Mutex
	batches [][]eventbus.Delivery
}

func (i *inbox) handle(_ context.Context, batch []eventbus.Delivery) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.batches = append(i.batches, slices.Clone(batch))
	return nil
}

func (i *inbox) deliveries() []eventbus.Delivery {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Concat(i.batches...)
}

func (i *inbox) sizes() []int {
	i.mu.Lock()
	defer i.mu.Unlock()
	var sizes []int
	for _, batch := range i.batches {
		sizes = append(sizes, len(batch))
	}
	return sizes
}

func (i *inbox) ids() []string {
	var list []string
	for _, d := range i.deliveries() {
		list = append(list, d.Event.ID)
	}
	return list
}

// firsts are the ids in the order of their first arrival.
func (i *inbox) firsts() []string {
	seen := map[string]bool{}
	var list []string
	for _, id := range i.ids() {
		if !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}

// await waits until that many different events have arrived.
func (i *inbox) await(t testing.TB, count int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d events", count), func() bool { return len(i.firsts()) >= count })
}

// sameIDs fails unless got is want, in this order.
func sameIDs(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %d events %q\nwant %d %q", len(got), shorten(got), len(want), shorten(want))
	}
}

func shorten(list []string) []string { return list[:min(len(list), 30)] }

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
