package eventbustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"orderflow/pkg/eventbus"
)

func routing() []promise {
	return []promise{
		{"PatternsSelectByType", patternsSelect},
		{"OverlappingPatternsDeliverOnce", overlapDeliversOnce},
		{"PatternsNoLongerWantedAreUnbound", unwantedIsUnbound},
		{"PatternsAddedLaterAreBound", addedIsBound},
		{"AnEventWithoutSubscriberIsKept", unroutedIsKept},
		{"WhatWasUnroutedCanBeRedriven", redrive},
		{"AMalformedMessageIsKeptApartByARedrive", redriveMalformed},
		{"ARedriveOfNothingButMalformedMessagesKeepsThem", redriveOnlyMalformed},
		{"ACommandWithoutListenerIsAnError", unroutableCommand},
		{"ACommandReachesItsListener", commandReaches},
		{"InvalidQueuesAreRefused", invalidQueues},
	}
}

func patternsSelect(t *testing.T, h Harness) {
	bus := open(t, h)
	types := []string{
		"order.events.placed.v1", "order.events.cancelled.v1", "packing.events.packed.v1",
		"packing.events.packed.v2", "customer.events.created.v1", "order.commands.cancel.v1",
	}
	wanted := map[string][]string{
		"exact":     {"order.events.placed.v1"},
		"one-word":  {"packing.events.packed.*"},
		"any-words": {"order.#"},
		"middle":    {"*.events.*.v1"},
		"all":       {"#"},
		"two":       {"customer.#", "*.events.packed.v2"},
		"commands":  {"order.commands.#"},
	}
	inboxes := map[string]*inbox{}
	for name, patterns := range wanted {
		inboxes[name] = &inbox{}
		subscribe(t, bus, eventbus.Queue{Name: name, Patterns: patterns}, inboxes[name].handle)
	}
	for n, typ := range types {
		publish(t, bus, event(typ, "s", n))
	}
	for name, patterns := range wanted {
		var want []string
		for n, typ := range types {
			if slices.ContainsFunc(patterns, func(p string) bool { return eventbus.Match(p, typ) }) {
				want = append(want, event(typ, "s", n).ID)
			}
		}
		if len(want) == 0 {
			t.Fatalf("the test is wrong: nothing matches %q", patterns)
		}
		inboxes[name].await(t, len(want))
		sameIDs(t, inboxes[name].ids(), want)
	}
}

func overlapDeliversOnce(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#", "#.placed.*", "order.events.placed.v1", "order.#"}}, crm.handle)
	events := series("o1", 5)
	publish(t, bus, events...)
	publish(t, bus, event("order.events.last.v1", "o1", 6))
	crm.await(t, 6)
	sameIDs(t, crm.ids()[:5], ids(events))
	if n := len(crm.ids()); n != 6 {
		t.Fatalf("%d deliveries of 6 events", n)
	}
}

func unwantedIsUnbound(t *testing.T, h Harness) {
	bus := open(t, h)
	declare(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#", "packing.#"}})
	declare(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}})
	publish(t, bus, event("packing.events.packed.v1", "o1", 1), placed("o1", 2))
	var crm inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	crm.await(t, 1)
	sameIDs(t, crm.ids(), []string{placed("o1", 2).ID})
	eventually(t, "the other one is unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == 1 })
}

func addedIsBound(t *testing.T, h Harness) {
	bus := open(t, h)
	declare(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}})
	var crm inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#", "packing.#"}}, crm.handle)
	publish(t, bus, event("packing.events.packed.v1", "o1", 1), placed("o1", 2))
	crm.await(t, 2)
}

func unroutedIsKept(t *testing.T, h Harness) {
	bus := open(t, h)
	events := series("o1", 3)
	publish(t, bus, events...)
	eventually(t, "three unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == 3 })
	// A queue declared a moment later does not lose its history: it is there,
	// and can be published again.
	var kept, crm inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	subscribe(t, open(t, h), eventbus.Queue{Name: eventbus.Unrouted}, kept.handle)
	kept.await(t, 3)
	sameIDs(t, kept.ids(), ids(events))
	for _, d := range kept.deliveries() {
		publish(t, bus, d.Event)
	}
	crm.await(t, 3)
	eventually(t, "none unrouted any more", func() bool { return depth(t, bus, eventbus.Unrouted) == 0 })
}

func redrive(t *testing.T, h Harness) {
	bus := open(t, h)
	events := series("o1", 230)
	publish(t, bus, events...)
	publish(t, bus, event("packing.events.packed.v1", "o1", 1))
	eventually(t, "all unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == 231 })
	var crm inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	done, err := eventbus.Redrive(within(t), bus, 0)
	if err != nil || done.Published < 231 {
		t.Fatalf("redrive: %+v, %v; want all 231", done, err)
	}
	crm.await(t, len(events))
	sameIDs(t, crm.firsts(), ids(events))
	eventually(t, "the one that nobody wants is back", func() bool { return depth(t, bus, eventbus.Unrouted) == 1 })
	done, err = eventbus.Redrive(within(t), bus, 0) // and ends, though it always comes back
	if err != nil || done.Published < 1 {
		t.Fatalf("redrive again: %+v, %v", done, err)
	}
}

func redriveMalformed(t *testing.T, h Harness) {
	bus := open(t, h)
	if done, err := eventbus.Redrive(within(t), bus, 0); done != (eventbus.Redriven{}) || err != nil {
		t.Fatalf("redrive of nothing: %+v, %v", done, err)
	}
	// One in front of others, one between them, two at the end.
	broken := func(n int) {
		h.Inject(t, "nobody.events.wants.v1", fmt.Appendf(nil, "this is no envelope, %d", n))
	}
	events := series("o1", 30)
	broken(1)
	publish(t, bus, events[:15]...)
	broken(2)
	publish(t, bus, events[15:]...)
	broken(3)
	broken(4)
	eventually(t, "all unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == 34 })
	var crm inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	done, err := eventbus.Redrive(within(t), bus, 1000)
	if want := (eventbus.Redriven{Published: 30, Malformed: 4}); done != want || err != nil {
		t.Fatalf("redrive: %+v, %v; want %+v", done, err, want)
	}
	crm.await(t, len(events))
	sameIDs(t, crm.firsts(), ids(events))
	eventually(t, "nothing is left", func() bool { return depth(t, bus, eventbus.Unrouted) == 0 })
	eventually(t, "they are kept", func() bool { return depth(t, bus, eventbus.Unrouted+eventbus.DeadSuffix) == 4 })
	// Where there is nothing behind, what is malformed stays too.
	var dead inbox
	subscribe(t, bus, eventbus.Queue{Name: eventbus.Unrouted + eventbus.DeadSuffix}, func(ctx context.Context, batch []eventbus.Delivery) error {
		return errors.Join(dead.handle(ctx, batch), eventbus.ErrMalformed)
	})
	eventually(t, "they come again and again", func() bool { return len(dead.deliveries()) > 4 })
	for _, d := range dead.deliveries() {
		if d.Malformed == nil || !strings.HasPrefix(string(d.Event.Data), "this is no envelope") {
			t.Errorf("among the dead letters: %+v", d)
		}
	}
}

func unroutableCommand(t *testing.T, h Harness) {
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.events.#"}}, (&inbox{}).handle)
	command := event("order.commands.cancel.v1", "o1", 1)
	err := bus.Publish(within(t), command)
	if !errors.Is(err, eventbus.ErrUnroutable) || !strings.Contains(err.Error(), command.Type) {
		t.Fatalf("got %v, want ErrUnroutable naming %s", err, command.Type)
	}
	if n := depth(t, bus, eventbus.Unrouted); n != 0 {
		t.Fatalf("%d unrouted, want 0: the publisher knows", n)
	}
	if reporter, ok := bus.(eventbus.Reporter); !ok || reporter.Stats().Unroutable != 1 {
		t.Fatalf("unroutable commands are not counted")
	}
}

func commandReaches(t *testing.T, h Harness) {
	var order inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "order", Patterns: []string{"order.commands.*.v1"}}, order.handle)
	command := event("order.commands.cancel.v1", "o1", 1)
	publish(t, bus, command)
	order.await(t, 1)
	sameIDs(t, order.ids(), []string{command.ID})
}

func invalidQueues(t *testing.T, h Harness) {
	bus := open(t, h)
	for _, q := range []eventbus.Queue{
		{Patterns: []string{"#"}},
		{Name: "crm"},
		{Name: "crm", Patterns: []string{"order..placed"}},
		{Name: "crm", Patterns: []string{"order.pl*"}},
		{Name: "crm", Patterns: []string{""}},
		{Name: "crm", Patterns: []string{"#"}, BatchSize: -1},
		{Name: "crm", Patterns: []string{"#"}, BatchSize: 1001},
		{Name: strings.Repeat("x", 181), Patterns: []string{"#"}},
		{Name: "amq.crm", Patterns: []string{"#"}},
		{Name: eventbus.Unrouted, Patterns: []string{"#"}},
	} {
		_, err := bus.Subscribe(within(t), q, (&inbox{}).handle)
		if !errors.Is(err, eventbus.ErrInvalidQueue) && !errors.Is(err, eventbus.ErrInvalidPattern) {
			t.Errorf("subscribe %+v: got %v, want it refused", q, err)
		}
	}
}

func redriveOnlyMalformed(t *testing.T, h Harness) {
	bus := open(t, h)
	if depth(t, bus, eventbus.Unrouted) != 0 { // and there is a topology from now on
		t.Fatal("something is unrouted already")
	}
	h.Inject(t, "nobody.events.wants.v1", []byte("this is no envelope"))
	h.Inject(t, "nobody.events.wants.v1", []byte("and this is another"))
	eventually(t, "both are unrouted", func() bool { return depth(t, bus, eventbus.Unrouted) == 2 })
	done, err := eventbus.Redrive(within(t), bus, 0)
	if want := (eventbus.Redriven{Malformed: 2}); done != want || err != nil {
		t.Fatalf("redrive: %+v, %v; want %+v", done, err, want)
	}
	eventually(t, "they are kept", func() bool { return depth(t, bus, eventbus.Unrouted+eventbus.DeadSuffix) == 2 })
	eventually(t, "they are counted", func() bool { return bus.(eventbus.Reporter).Stats().Acknowledged == 2 })
	var crm inbox
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	publish(t, bus, placed("o1", 1))
	crm.await(t, 1)
}
