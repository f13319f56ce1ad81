package eventbustest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
)

func erasing() []promise {
	return []promise{
		{"WhatIsErasedIsGoneAndTheRestIsThere", erasedIsGone},
		{"ErasingFromAQueueThatIsNotThereErasesNothing", erasingFromNothing},
		{"WhatIsMalformedCanBeErased", malformedIsErased},
		{"ErasingThatIsGivenUpLosesNothing", erasingGivenUp},
	}
}

func of(subject string) func(eventbus.Delivery) bool {
	return func(d eventbus.Delivery) bool { return d.Event.Subject == subject }
}

func erase(t testing.TB, bus eventbus.Bus, queue string, theirs func(eventbus.Delivery) bool, want int) {
	t.Helper()
	n, err := bus.Erase(within(t), queue, theirs)
	if err != nil || n != want {
		t.Fatalf("erased %d, %v; want %d", n, err, want)
	}
}

// erasedIsGone has more messages than are taken at once, so that they are
// erased in several steps, and in the first and in the last of them.
func erasedIsGone(t *testing.T, h Harness) {
	bus := open(t, h)
	var mixed, staying []eventbus.Event
	for n := range 450 {
		subject := "o1"
		if n%7 == 0 || n > 440 {
			subject = "o2"
		} else {
			staying = append(staying, placed("o1", n))
		}
		mixed = append(mixed, placed(subject, n))
	}
	publish(t, bus, mixed...)
	eventually(t, "all are unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == len(mixed) })
	erase(t, bus, eventbus.Unrouted, of("o2"), len(mixed)-len(staying))
	erase(t, bus, eventbus.Unrouted, of("o2"), 0)
	if err := bus.Scrub(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others are there", func() bool { return depth(t, bus, eventbus.Unrouted) == len(staying) })
	var rest inbox
	s := subscribe(t, bus, eventbus.Queue{Name: eventbus.Unrouted}, rest.handle)
	rest.await(t, len(staying))
	got, want := rest.ids(), ids(staying)
	if !h.OrderSurvives {
		slices.Sort(got)
		slices.Sort(want)
	}
	sameIDs(t, got, want)
	for _, d := range rest.deliveries() {
		n := int(d.Event.Sequence)
		want := placed("o1", n)
		want.DataContentType = "application/json" // is filled in
		d.Redelivered = false                     // it may have been looked at
		if diff := cmp.Diff(eventbus.Delivery{Event: want}, d); diff != "" {
			t.Fatalf("it has changed: %s", diff)
		}
	}
	closeSubscription(t, s)
}

func erasingFromNothing(t *testing.T, h Harness) {
	erase(t, open(t, h), "nobody", of("o1"), 0)
}

// erasingGivenUp ends in the middle of a step, as when the process is killed.
func erasingGivenUp(t *testing.T, h Harness) {
	bus := open(t, h)
	events := series("o1", 300)
	publish(t, bus, events...)
	eventually(t, "all are unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == len(events) })
	ctx, giveUp := context.WithCancel(within(t))
	seen := 0
	_, err := bus.Erase(ctx, eventbus.Unrouted, func(eventbus.Delivery) bool {
		if seen++; seen == 150 {
			giveUp()
		}
		return false
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("given up with %v", err)
	}
	var rest inbox
	s := subscribe(t, bus, eventbus.Queue{Name: eventbus.Unrouted}, rest.handle)
	rest.await(t, len(events))
	got, want := rest.firsts(), ids(events)
	slices.Sort(got)
	slices.Sort(want)
	sameIDs(t, got, want)
	closeSubscription(t, s)
}

func malformedIsErased(t *testing.T, h Harness) {
	bus := open(t, h)
	publish(t, bus, placed("o3", 1)) // from now on the bus is there to put something on
	h.Inject(t, "order.events.placed.v1", []byte("of o1"))
	h.Inject(t, "order.events.placed.v1", []byte("of o2"))
	eventually(t, "all are unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == 3 })
	erase(t, bus, eventbus.Unrouted, func(d eventbus.Delivery) bool { return d.Malformed != nil && string(d.Event.Data) == "of o1" }, 1)
	eventually(t, "two are left", func() bool { return depth(t, bus, eventbus.Unrouted) == 2 })
}
