package eventbustest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"orderflow/pkg/eventbus"
)

func failing() []promise {
	return []promise{
		{"AHandlerThatFailsGetsTheSameBatchAgain", func(t *testing.T, h Harness) {
			retried(t, h, func() error { return errors.New("the database is down") })
		}},
		{"AHandlerThatPanicsGetsTheSameBatchAgain", func(t *testing.T, h Harness) {
			retried(t, h, func() error { panic("a bug in the handler") })
		}},
		{"AHandlerThatFailsIsNotReady", failingIsNotReady},
		{"AHandlerCannotSpoilTheBatch", handlerCannotSpoilTheBatch},
		{"WhatWasNotAcknowledgedComesAgain", unacknowledgedComesAgain},
		{"ClosingDuringAPauseLosesNothing", closingDuringAPause},
		{"AMalformedMessageIsDeliveredAsSuch", malformed},
	}
}

func retried(t *testing.T, h Harness, fail func() error) {
	var crm inbox
	var attempts atomic.Int32
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 4}
	bus := open(t, h)
	events := series("o1", 12)
	var failed []eventbus.Delivery
	// Subscribed before anything is published: a broker may hand what is there
	// to an earlier consumer that is just leaving, and mark it for that.
	subscribe(t, bus, queue, func(ctx context.Context, batch []eventbus.Delivery) error {
		switch attempts.Add(1) {
		case 1:
			failed = slices.Clone(batch)
			return fail()
		case 2:
			return fail()
		}
		return crm.handle(ctx, batch)
	})
	publish(t, bus, events...)
	crm.await(t, len(events))
	sameIDs(t, crm.ids(), ids(events))
	for i, d := range crm.deliveries()[:len(failed)] {
		if failed[i].Event.ID != d.Event.ID || failed[i].Redelivered || !d.Redelivered {
			t.Errorf("event %s came again as %s: redelivered was %v the first time and %v the third",
				failed[i].Event.ID, d.Event.ID, failed[i].Redelivered, d.Redelivered)
		}
	}
	if stats := bus.(eventbus.Reporter).Stats(); stats.HandlerFailures != 2 {
		t.Errorf("%d failures counted, want 2", stats.HandlerFailures)
	}
}

func failingIsNotReady(t *testing.T, h Harness) {
	var works atomic.Bool
	var crm inbox
	bus := open(t, h)
	s := subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}},
		func(ctx context.Context, batch []eventbus.Delivery) error {
			if !works.Load() {
				return errors.New("the database is down")
			}
			return crm.handle(ctx, batch)
		})
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	publish(t, bus, placed("o1", 0))
	eventually(t, "not ready", func() bool { return s.Ready() != nil })
	works.Store(true)
	crm.await(t, 1)
	eventually(t, "ready again", func() bool { return s.Ready() == nil })
}

func handlerCannotSpoilTheBatch(t *testing.T, h Harness) {
	var crm inbox
	var attempts atomic.Int32
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := open(t, h)
	declare(t, bus, queue)
	events := series("o1", 3)
	publish(t, bus, events...)
	subscribe(t, bus, queue, func(ctx context.Context, batch []eventbus.Delivery) error {
		if attempts.Add(1) == 1 {
			slices.Reverse(batch)
			batch[0] = eventbus.Delivery{}
			return errors.New("failed after it tore the batch to pieces")
		}
		return crm.handle(ctx, batch)
	})
	crm.await(t, 3)
	sameIDs(t, crm.ids(), ids(events))
}

func unacknowledgedComesAgain(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := open(t, h)
	entered := make(chan struct{}, 10)
	s := subscribe(t, bus, queue, func(ctx context.Context, _ []eventbus.Delivery) error {
		entered <- struct{}{}
		<-ctx.Done() // the process is about to die in the middle of its work
		return ctx.Err()
	})
	events := series("o1", 5)
	publish(t, bus, events...)
	recv(t, "the handler has begun", entered)
	impatient, cancel := context.WithCancel(within(t))
	cancel()
	if err := s.Close(impatient); !errors.Is(err, context.Canceled) {
		t.Fatalf("close: got %v, want the context's error", err)
	}
	var crm inbox
	subscribe(t, open(t, h), queue, crm.handle)
	crm.await(t, len(events))
	sameIDs(t, crm.ids(), ids(events))
	if !crm.deliveries()[0].Redelivered {
		t.Error("the first event does not say that it was handed out before")
	}
}

func closingDuringAPause(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := open(t, h)
	failed := make(chan struct{}, 100)
	s := subscribe(t, bus, queue, func(context.Context, []eventbus.Delivery) error {
		failed <- struct{}{}
		return errors.New("the database is down")
	})
	events := series("o1", 5)
	publish(t, bus, events...)
	for range 3 {
		recv(t, "an attempt", failed)
	}
	closeSubscription(t, s)
	var crm inbox
	subscribe(t, bus, queue, crm.handle)
	crm.await(t, len(events))
	sameIDs(t, crm.ids(), ids(events))
}

func malformed(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	h.Inject(t, "order.events.placed.v1", []byte("this is no envelope"))
	h.Inject(t, "order.events.placed.v1", []byte("and this is another"))
	publish(t, bus, placed("o1", 1))
	crm.await(t, 3)
	got := crm.deliveries()
	for i, body := range []string{"this is no envelope", "and this is another"} {
		if got[i].Malformed == nil || got[i].Event.ID == "" || string(got[i].Event.Data) != body {
			t.Errorf("delivery %d: %+v, want it malformed, with an id and the body", i, got[i])
		}
	}
	if got[0].Event.ID == got[1].Event.ID {
		t.Error("two broken messages share one id")
	}
	if got[2].Malformed != nil || got[2].Event.ID != placed("o1", 1).ID {
		t.Errorf("the event behind them: %+v", got[2])
	}
}
