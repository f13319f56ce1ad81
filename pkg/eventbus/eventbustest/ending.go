package eventbustest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

func ending() []promise {
	return []promise{
		{"ClosingWaitsForTheRunningHandler", closingWaits},
		{"UnsubscribeRemovesTheQueue", unsubscribe},
		{"UnsubscribingUnderLoadEnds", unsubscribeUnderLoad},
		{"UnsubscribingLeavesOtherInstancesConsuming", unsubscribeElsewhere},
		{"AHandlerThatIgnoresItsContextDoesNotKeepABusOpen", func(t *testing.T, h Harness) {
			deafHandler(t, h, context.Context.Err)
		}},
		{"AHandlerThatIsDoneAfterItsBusWasClosedEnds", func(t *testing.T, h Harness) {
			deafHandler(t, h, func(context.Context) error { return nil })
		}},
		{"AClosedBusRefusesEverything", closedRefuses},
		{"ClosingTwiceIsNoError", closingTwice},
		{"ClosingTheBusEndsItsSubscriptions", closingTheBus},
	}
}

func closingWaits(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := open(t, h)
	entered, release := make(chan struct{}, 10), make(chan struct{})
	s := subscribe(t, bus, queue, func(ctx context.Context, _ []eventbus.Delivery) error {
		entered <- struct{}{}
		<-release
		return ctx.Err() // Close must not have cancelled it
	})
	publish(t, bus, placed("o1", 1))
	recv(t, "the handler has begun", entered)
	closed := make(chan error, 1)
	go func() { closed <- s.Close(within(t)) }()
	eventually(t, "closing", func() bool { return errors.Is(s.Ready(), eventbus.ErrClosed) })
	select {
	case err := <-closed:
		t.Fatalf("closed (%v) while the handler was running", err)
	default:
	}
	close(release)
	if err := recv(t, "closed", closed); err != nil {
		t.Fatalf("close: %v", err)
	}
	// What it handled was acknowledged: only the next event arrives.
	publish(t, bus, placed("o1", 2))
	var crm inbox
	subscribe(t, bus, queue, crm.handle)
	crm.await(t, 1)
	sameIDs(t, crm.ids(), []string{placed("o1", 2).ID})
}

func unsubscribe(t *testing.T, h Harness) {
	var crm inbox
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := open(t, h)
	declare(t, bus, queue)
	publish(t, bus, series("o1", 5)...)
	s := subscribe(t, bus, queue, func(context.Context, []eventbus.Delivery) error { return errors.New("not now") })
	if err := s.Unsubscribe(within(t)); err != nil {
		t.Fatalf("unsubscribe: %v", err)
	}
	if n, err := bus.Depth(within(t), "crm"); err == nil {
		t.Fatalf("the queue still exists, with %d events", n)
	}
	publish(t, bus, placed("o2", 1))
	eventually(t, "the event is unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == 1 })
	subscribe(t, bus, queue, crm.handle)
	publish(t, bus, placed("o3", 1))
	crm.await(t, 1)
	sameIDs(t, crm.ids(), []string{placed("o3", 1).ID})
}

func unsubscribeUnderLoad(t *testing.T, h Harness) {
	var crm inbox
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 5}
	bus, publisher := open(t, h), open(t, h)
	s := subscribe(t, bus, queue, crm.handle)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := publisher.Publish(within(t), series(fmt.Sprint("o", n), 20)...); err != nil {
				stopped <- err
				return
			}
		}
	}()
	crm.await(t, 100)
	if err := s.Unsubscribe(within(t)); err != nil {
		t.Errorf("unsubscribe: %v", err)
	}
	if n, err := bus.Depth(within(t), "crm"); err == nil {
		t.Errorf("the queue still exists, with %d events", n)
	}
	close(stop)
	if err := recv(t, "the publisher has stopped", stopped); err != nil {
		t.Fatalf("publish: %v", err)
	}
	var again inbox
	subscribe(t, bus, queue, again.handle)
	publish(t, publisher, placed("last", 1))
	again.await(t, 1)
	sameIDs(t, again.ids(), []string{placed("last", 1).ID})
}

func unsubscribeElsewhere(t *testing.T, h Harness) {
	var crm inbox
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	publisher := open(t, h)
	one := subscribe(t, open(t, h), queue, (&inbox{}).handle)
	two := subscribe(t, open(t, h), queue, crm.handle)
	eventually(t, "both are ready", func() bool { return one.Ready() == nil && two.Ready() == nil })
	if err := one.Unsubscribe(within(t)); err != nil {
		t.Fatalf("unsubscribe: %v", err)
	}
	n := 0
	eventually(t, "the other one consumes again", func() bool {
		publish(t, publisher, placed("o1", n))
		n++
		return len(crm.ids()) > 0
	})
}

// A process must be able to end although a handler hangs. What the handler had
// is not acknowledged, and comes again; also if the handler, when it comes to
// its senses, believes that it has done its work.
func deafHandler(t *testing.T, h Harness, result func(context.Context) error) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := h.Open(t)
	entered, release := make(chan context.Context, 10), make(chan struct{})
	s := subscribe(t, bus, queue, func(ctx context.Context, _ []eventbus.Delivery) error {
		entered <- ctx
		<-release
		return result(ctx)
	})
	events := series("o1", 5)
	publish(t, bus, events...)
	handling := recv(t, "the handler has begun", entered)
	impatient, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- bus.Close(impatient) }()
	if err := recv(t, "closed", closed); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: got %v, want it to say that the time was over", err)
	}
	if handling.Err() == nil {
		t.Error("the handler was not told to stop")
	}
	close(release)
	closeSubscription(t, s) // ends, now that the handler has
	var crm inbox
	subscribe(t, open(t, h), queue, crm.handle)
	crm.await(t, len(events))
	sameIDs(t, crm.ids(), ids(events))
}

func closedRefuses(t *testing.T, h Harness) {
	bus := open(t, h)
	s := subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"#"}}, (&inbox{}).handle)
	if err := bus.Close(within(t)); err != nil {
		t.Fatalf("close: %v", err)
	}
	_, subscribing := bus.Subscribe(within(t), eventbus.Queue{Name: "crm", Patterns: []string{"#"}}, (&inbox{}).handle)
	_, counting := bus.Depth(within(t), "crm")
	for name, err := range map[string]error{
		"Publish":            bus.Publish(within(t), placed("o1", 1)),
		"Subscribe":          subscribing,
		"Depth":              counting,
		"Ready":              bus.Ready(),
		"Subscription.Ready": s.Ready(),
	} {
		if !errors.Is(err, eventbus.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
}

func closingTwice(t *testing.T, h Harness) {
	bus := open(t, h)
	s := subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"#"}}, (&inbox{}).handle)
	closeSubscription(t, s)
	closeSubscription(t, s)
	for range 2 {
		if err := bus.Close(within(t)); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
}

func closingTheBus(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := h.Open(t)
	entered, release := make(chan struct{}, 10), make(chan struct{})
	var handled inbox
	subscribe(t, bus, queue, func(ctx context.Context, batch []eventbus.Delivery) error {
		entered <- struct{}{}
		<-release
		return handled.handle(ctx, batch)
	})
	publish(t, bus, placed("o1", 1))
	recv(t, "the handler has begun", entered)
	closed := make(chan error, 1)
	go func() { closed <- bus.Close(within(t)) }()
	eventually(t, "closing", func() bool { return errors.Is(bus.Ready(), eventbus.ErrClosed) })
	close(release)
	if err := recv(t, "closed", closed); err != nil {
		t.Fatalf("close: %v", err)
	}
	sameIDs(t, handled.ids(), []string{placed("o1", 1).ID})
	if n := depth(t, open(t, h), "crm"); n != 0 {
		t.Fatalf("%d events left, want the handled one acknowledged", n)
	}
}
