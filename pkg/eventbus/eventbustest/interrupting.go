package eventbustest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"orderflow/pkg/eventbus"
)

func interrupting() []promise {
	return []promise{
		{"AnInterruptionLosesNothing", interruptionLosesNothing},
		{"AnInterruptionDuringAHandlerLosesNothing", interruptionDuringHandler},
		{"ABusIsReadyAgainAfterAnInterruption", readyAgain},
		{"ReopeningLosesNothing", reopening},
	}
}

// Events keep being published while what connects the bus breaks again and
// again. Every publish that returned nil must arrive, and all of them do
// return nil, since Publish waits until the connection is back.
func interruptionLosesNothing(t *testing.T, h Harness) {
	const rounds, each = 5, 80
	var crm inbox
	publisher, consumer := open(t, h), open(t, h)
	subscribe(t, consumer, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 10}, crm.handle)
	var want []string
	for round := range rounds {
		published := make(chan error, 1)
		order := fmt.Sprint("o", round)
		go func() {
			for n := range each {
				if err := publisher.Publish(within(t), placed(order, n)); err != nil {
					published <- err
					return
				}
			}
			published <- publisher.Publish(within(t), series(order+"-many", each)...)
		}()
		crm.await(t, round*2*each+each/4) // in the middle of it
		h.Interrupt(t)
		if err := recv(t, "published", published); err != nil {
			t.Fatalf("publish: %v", err)
		}
		want = slices.Concat(want, ids(series(order, each)), ids(series(order+"-many", each)))
		crm.await(t, len(want))
	}
	sameIDs(t, slices.Sorted(slices.Values(crm.firsts())), slices.Sorted(slices.Values(want)))
}

// The deliveries a handler holds while the connection breaks are not its own
// any more; acknowledging them must not remove anything else.
func interruptionDuringHandler(t *testing.T, h Harness) {
	var crm inbox
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 5}
	publisher, consumer := open(t, h), open(t, h)
	declare(t, publisher, queue)
	events := series("o1", 100)
	publish(t, publisher, events...)
	entered, release := make(chan struct{}, 1000), make(chan struct{})
	subscribe(t, consumer, queue, func(ctx context.Context, batch []eventbus.Delivery) error {
		entered <- struct{}{}
		<-release
		return crm.handle(ctx, batch)
	})
	recv(t, "the handler has begun", entered)
	h.Interrupt(t)
	eventually(t, "connected again", func() bool { return consumer.Ready() == nil })
	close(release)
	crm.await(t, len(events))
	eventually(t, "all acknowledged", func() bool { return depth(t, publisher, "crm") == 0 })
}

func readyAgain(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	s := subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	for round := range 3 {
		h.Interrupt(t)
		eventually(t, "bus and subscription are ready", func() bool { return bus.Ready() == nil && s.Ready() == nil })
		publish(t, bus, placed("o1", round))
		crm.await(t, round+1)
	}
}

// Where a bus treats what has come back often in another way, it has come to that
// after ten rounds.
func reopening(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 3}
	var crm inbox
	var want []string
	for round := range 10 {
		bus := h.Open(t)
		subscribe(t, bus, queue, crm.handle)
		events := series(fmt.Sprint("o", round), 30)
		publish(t, bus, events...)
		want = append(want, ids(events)...)
		if err := bus.Close(within(t)); err != nil { // with some of them still waiting
			t.Fatalf("close: %v", err)
		}
	}
	subscribe(t, open(t, h), queue, crm.handle)
	crm.await(t, len(want))
	sameIDs(t, crm.firsts(), want)
}
