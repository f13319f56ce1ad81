package eventbustest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
)

func sending() []promise {
	return []promise{
		{"WhatIsSentReachesItsQueueAloneAndIsMarked", sentReachesOne},
		{"WhatIsSentIsStored", sentIsStored},
		{"SendingToNobodyIsAnErrorAndKeepsNothing", sendToNobody},
		{"SendingSurvivesAnInterruption", sendInterrupted},
		{"TheBusKnowsWhatAQueueTakes", patternsOfQueues},
	}
}

func sentReachesOne(t *testing.T, h Harness) {
	bus := open(t, h)
	all := []string{"order.#"}
	var crm, packing inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: all}, crm.handle)
	subscribe(t, bus, eventbus.Queue{Name: "packing", Patterns: all}, packing.handle)
	history := series("o1", 50)
	// What its patterns do not select is for the sender to leave out.
	history = append(history, event("customer.events.created.v1", "c1", 1), event("crm.commands.write.v1", "c1", 2))
	for part := range slices.Chunk(history, 20) {
		if err := bus.Send(within(t), "crm", part...); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, bus, placed("o1", 50))
	crm.await(t, 53)
	packing.await(t, 1)
	sameIDs(t, crm.firsts(), ids(append(history, placed("o1", 50))))
	sameIDs(t, packing.ids(), []string{placed("o1", 50).ID})
	for _, d := range crm.deliveries() {
		live := d.Event.ID == placed("o1", 50).ID
		if d.Malformed != nil || d.Event.Replayed == live {
			t.Errorf("%s: replayed %t, %v", d.Event.ID, d.Event.Replayed, d.Malformed)
		}
		d.Event.Replayed = false
		want := placed("o1", int(d.Event.Sequence))
		want.DataContentType = "application/json"
		if d.Event.Type == want.Type && !cmp.Equal(want, d.Event) {
			t.Error(cmp.Diff(want, d.Event))
		}
	}
	if n := depth(t, bus, eventbus.Unrouted); n != 0 {
		t.Errorf("%d events are unrouted", n)
	}
	if err := bus.Send(within(t), "crm"); err != nil {
		t.Errorf("sending nothing: %v", err)
	}
}

func sentIsStored(t *testing.T, h Harness) {
	first := h.Open(t)
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	declare(t, first, queue)
	if err := first.Send(within(t), "crm", series("o1", 100)...); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := first.Send(within(t), "crm", placed("o1", 100)); !errors.Is(err, eventbus.ErrClosed) {
		t.Errorf("on a closed bus: %v", err)
	}
	var crm inbox
	subscribe(t, open(t, h), queue, crm.handle)
	crm.await(t, 100)
	sameIDs(t, crm.firsts(), ids(series("o1", 100)))
}

func sendToNobody(t *testing.T, h Harness) {
	bus := open(t, h)
	declare(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}})
	if err := bus.Send(within(t), "nobody", series("o1", 10)...); !errors.Is(err, eventbus.ErrNoQueue) {
		t.Errorf("got %v, want ErrNoQueue", err)
	}
	if patterns, err := bus.Patterns(within(t), "nobody"); !errors.Is(err, eventbus.ErrNoQueue) {
		t.Errorf("patterns %v, %v, want ErrNoQueue", patterns, err)
	}
	if _, err := bus.Depth(within(t), "nobody"); !errors.Is(err, eventbus.ErrNoQueue) {
		t.Errorf("depth: %v, want ErrNoQueue", err)
	}
	bad := placed("o1", 1)
	bad.Subject = ""
	if err := bus.Send(within(t), "crm", placed("o1", 0), bad); !errors.Is(err, eventbus.ErrInvalidEvent) {
		t.Errorf("got %v, want ErrInvalidEvent", err)
	}
	over, cancel := context.WithCancel(within(t))
	cancel()
	if err := bus.Send(over, "nobody", series("o1", 2000)...); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	for _, queue := range []string{"crm", eventbus.Unrouted} {
		if n := depth(t, bus, queue); n != 0 {
			t.Errorf("%d events are in %s", n, queue)
		}
	}
	// The bus is none the worse for it.
	publish(t, bus, placed("o2", 1))
	eventually(t, "one waiting", func() bool { return depth(t, bus, "crm") == 1 })
}

func sendInterrupted(t *testing.T, h Harness) {
	bus := open(t, h)
	var crm inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	done := make(chan error, 1)
	events := series("o1", 3000)
	ctx := within(t)
	go func() {
		for part := range slices.Chunk(events, 100) {
			if err := bus.Send(ctx, "crm", part...); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	crm.await(t, 200)
	h.Interrupt(t)
	// An embedded bus may give a call up that it was interrupted in: it is then
	// for the sender to repeat it.
	if err := recv(t, "everything is sent", done); err != nil {
		if err := bus.Send(within(t), "crm", events...); err != nil {
			t.Fatal(err)
		}
	}
	crm.await(t, len(events))
}

func patternsOfQueues(t *testing.T, h Harness) {
	bus := open(t, h)
	declare(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.events.#", "customer.events.created.v1"}})
	declare(t, bus, eventbus.Queue{Name: "packing", Patterns: []string{"order.events.placed.v1"}})
	for queue, want := range map[string][]string{
		"crm": {"customer.events.created.v1", "order.events.#"}, "packing": {"order.events.placed.v1"},
	} {
		for range 2 { // reading changes nothing
			if got, err := bus.Patterns(within(t), queue); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s takes %q, %v; want %q", queue, got, err, want)
			}
		}
	}
	declare(t, bus, eventbus.Queue{Name: "packing", Patterns: []string{"order.events.#"}})
	if got, err := bus.Patterns(within(t), "packing"); err != nil || !slices.Equal(got, []string{"order.events.#"}) {
		t.Errorf("packing takes %q, %v", got, err)
	}
}
