package eventbustest

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/histogram"
)

func consuming() []promise {
	return []promise{
		{"AQueueIsNotLoadedAtOnce", notLoadedAtOnce},
		{"ABlockedHandlerStopsNoPublisher", blockedHandler},
		{"DepthLeavesOutWhatIsBeingHandled", depthLeavesOut},
		{"TheContextOfSubscribeBoundsTheDeclarationOnly", subscribeContext},
		{"AnInstanceThatStandsByIsReady", standingBy},
		{"AQueueHasOneForItsDeadLetters", deadLetters},
		{"WhatGoesWrongIsCounted", troubleIsCounted},
	}
}

// long reports whether the suites are to take their time.
func long() bool { return os.Getenv("TEST_LONG") == "1" }

// blocked is a handler that takes a batch and keeps it until it is told to stop.
type blocked struct {
	entered chan []eventbus.Delivery
}

func newBlocked() *blocked { return &blocked{make(chan []eventbus.Delivery, 100)} }

func (b *blocked) handle(ctx context.Context, batch []eventbus.Delivery) error {
	b.entered <- batch
	<-ctx.Done()
	return ctx.Err()
}

// abandon closes a subscription without waiting for its handler.
func abandon(t testing.TB, s eventbus.Subscription) {
	t.Helper()
	now, cancel := context.WithCancel(within(t))
	cancel()
	if err := s.Close(now); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("close the subscription: %v", err)
	}
}

func notLoadedAtOnce(t *testing.T, h Harness) {
	const batch = 10
	total := 10_000
	if long() {
		total = 50_000
	}
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: batch}
	bus := open(t, h)
	declare(t, bus, queue)
	publish(t, bus, series("o1", total)...)
	handler := newBlocked()
	s := subscribe(t, bus, queue, handler.handle)
	recv(t, "the handler has begun", handler.entered)
	// By the time another consumer has come and gone, anything that was to be
	// loaded would be on its way.
	var other inbox
	subscribe(t, bus, eventbus.Queue{Name: "other", Patterns: []string{"packing.#"}}, other.handle)
	publish(t, bus, event("packing.events.packed.v1", "o1", 1))
	other.await(t, 1)
	if held := total - depth(t, bus, "crm"); held < batch || held > 4*batch {
		t.Errorf("%d of %d are out of the queue while a batch of %d is being handled", held, total, batch)
	}
	abandon(t, s)
}

func blockedHandler(t *testing.T, h Harness) {
	bus := open(t, h)
	handler := newBlocked()
	s := subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, handler.handle)
	publish(t, bus, placed("o0", 0))
	recv(t, "the handler has begun", handler.entered)
	publish(t, bus, series("o1", 3000)...) // more than any window
	for n := range 20 {
		publish(t, bus, placed("o2", n))
	}
	abandon(t, s)
}

func depthLeavesOut(t *testing.T, h Harness) {
	const batch = 10
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: batch}
	bus := open(t, h)
	declare(t, bus, queue)
	publish(t, bus, series("o1", batch)...)
	eventually(t, "all are waiting", func() bool { return depth(t, bus, "crm") == batch })
	handler := newBlocked()
	s := subscribe(t, bus, queue, handler.handle)
	recv(t, "the handler has begun", handler.entered)
	eventually(t, "none is waiting while they are handled", func() bool { return depth(t, bus, "crm") == 0 })
	abandon(t, s)
	eventually(t, "all are waiting again", func() bool { return depth(t, bus, "crm") == batch })
}

func subscribeContext(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	ctx, cancel := context.WithCancel(within(t))
	s, err := bus.Subscribe(ctx, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	cancel()
	publish(t, bus, series("o1", 5)...)
	crm.await(t, 5)
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	if _, err := bus.Subscribe(ctx, eventbus.Queue{Name: "late", Patterns: []string{"order.#"}}, crm.handle); !errors.Is(err, context.Canceled) {
		t.Errorf("subscribe with a context that has ended: %v", err)
	}
}

func standingBy(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	var crm inbox
	one := subscribe(t, open(t, h), queue, crm.handle)
	two := subscribe(t, open(t, h), queue, crm.handle)
	eventually(t, "both are ready", func() bool { return one.Ready() == nil && two.Ready() == nil })
}

func deadLetters(t *testing.T, h Harness) {
	bus := open(t, h)
	declare(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}})
	if n := depth(t, bus, "crm"+eventbus.DeadSuffix); n != 0 {
		t.Errorf("%d dead letters in a new queue", n)
	}
	declare(t, bus, eventbus.Queue{Name: "crm" + eventbus.DeadSuffix})
	_, err := bus.Subscribe(within(t), eventbus.Queue{Name: "crm" + eventbus.DeadSuffix, Patterns: []string{"#"}}, (&inbox{}).handle)
	if !errors.Is(err, eventbus.ErrInvalidQueue) {
		t.Errorf("subscribe to dead letters by a pattern: %v", err)
	}
}

func troubleIsCounted(t *testing.T, h Harness) {
	var attempts atomic.Int64
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 1},
		func(ctx context.Context, batch []eventbus.Delivery) error {
			switch attempts.Add(1) {
			case 1:
				return errors.New("the database is down")
			case 2:
				panic("a bug")
			}
			return crm.handle(ctx, batch)
		})
	if err := bus.Publish(within(t), event("order.commands.cancel.v1", "o", 0)); err != nil {
		t.Fatal(err) // the pattern takes commands, too
	}
	_ = bus.Publish(within(t), event("packing.commands.pack.v1", "o", 0))
	crm.await(t, 1)
	h.Inject(t, "order.events.placed.v1", []byte("this is no envelope"))
	crm.await(t, 2)
	reporter, ok := bus.(eventbus.Reporter)
	if !ok {
		t.Fatal("the bus does not count")
	}
	want := eventbus.Stats{
		Published: 1, Unroutable: 1, Delivered: 4, Redelivered: 2, Malformed: 1, Acknowledged: 2, HandlerFailures: 2,
	}
	var got eventbus.Stats
	deadline := time.Now().Add(patience)
	for {
		got = reporter.Stats()
		got.ConfirmTime, got.HandlerTime, got.Lag = histogram.Histogram{}, histogram.Histogram{}, histogram.Histogram{}
		if cmp.Equal(want, got) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
		}
		<-time.After(time.Millisecond)
	}
}
