package rabbitmq_test

import (
	"context"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// fill makes a queue that has room for one message, takes it, and from then on
// refuses what the pattern matches: the broker answers basic.nack.
func (w *world) fill(t *testing.T, pattern string) (empty func()) {
	t.Helper()
	w.note("full")
	ch := w.channel(t)
	args := amqp.Table{"x-max-length": int64(1), "x-overflow": "reject-publish"}
	if _, err := ch.QueueDeclare(w.namespace+".full", true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(w.namespace+".full", pattern, w.namespace+".events", false, nil); err != nil {
		t.Fatal(err)
	}
	w.publishRaw(t, "", w.namespace+".full", amqp.Publishing{})
	return func() {
		t.Helper()
		if _, err := ch.QueuePurge(w.namespace+".full", false); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARefusedPublishIsRepeatedUntilItIsTaken(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t)).(notingBus)
	publish(t, bus, placed(0)) // to have the exchanges
	empty := w.fill(t, "order.#")
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), placed(2)) }()
	eventually(t, "it was refused", func() bool { return bus.Stats().UnknownOutcomes > 2 })
	select {
	case err := <-published:
		t.Fatalf("returned %v although the broker refused", err)
	default:
	}
	empty()
	if err := <-published; err != nil {
		t.Fatalf("publish: %v", err)
	}
	if got := w.peek(t, "full"); len(got) != 1 {
		t.Errorf("%d messages, want the one that was taken at last", len(got))
	}
}

func rejected(n int) eventbus.Event {
	e := placed(n)
	e.Type, e.Subject = "packing.events.rejected.v1", "o2"
	return e
}

func TestAnEventThatTheBrokerRefusesStopsNoOther(t *testing.T) {
	requireBroker(t)
	const last = 3000 // beyond the window
	w := newWorld(t)
	bus := closing(t, w.open(t)).(notingBus)
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	empty := w.fill(t, "packing.events.rejected.*")
	events := []eventbus.Event{rejected(0)}
	for n := 1; n < last; n++ {
		events = append(events, placed(n))
	}
	later := placed(last)
	later.Subject = rejected(0).Subject
	events = append(events, later)
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), events...) }()
	crm.await(t, last-1)
	publish(t, bus, placed(last+1)) // another call
	eventually(t, "the refused one was tried again and again", func() bool { return bus.Stats().UnknownOutcomes > 4 })
	for _, d := range crm.await(t, last) {
		if d.Event.ID == later.ID {
			t.Error("a later event of its subject overtook the refused one")
		}
	}
	empty()
	if err := <-published; err != nil {
		t.Fatalf("publish: %v", err)
	}
	if got := crm.await(t, last+1); len(got) != last+1 || got[last].Event.ID != later.ID {
		t.Errorf("%d deliveries of %d events, the last one %s: want each once, and %s last", len(got), last+1, got[len(got)-1].Event.ID, later.ID)
	}
	if got := w.peek(t, "full"); len(got) != 1 {
		t.Errorf("%d messages in the queue that refused, want the one it took at last", len(got))
	}
}

func TestARefusedPublishIsGivenUpWithItsContextAndSaysWhichOne(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t)).(notingBus)
	publish(t, bus, placed(0))
	w.fill(t, "packing.events.rejected.*")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := bus.Publish(ctx, placed(1), rejected(7), placed(2))
	if err == nil {
		t.Fatal("returned nil for an event that the broker never took")
	}
	if text := err.Error(); !strings.Contains(text, "1 of them unconfirmed") || !strings.Contains(text, rejected(7).ID) {
		t.Errorf("got %q, want it to name the event", text)
	}
	if n := bus.Stats().Published; n != 3 {
		t.Errorf("%d counted as published, want 3", n)
	}
}
