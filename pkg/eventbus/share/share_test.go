package share_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/share"
	"orderflow/pkg/eventbus/sqlitebus"
)

func event(typ string) eventbus.Event {
	return eventbus.Event{ID: uuid.NewString(), Source: "/orderflow/test", Type: typ, Subject: "s", Time: time.Now()}
}

func open(t *testing.T) *sqlitebus.Bus {
	t.Helper()
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: filepath.Join(t.TempDir(), "bus.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return bus
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestFiguresAreThoseOfTheServiceAndAddUpToThoseOfTheBus(t *testing.T) {
	bus := open(t)
	catalog, order := share.Of(bus), share.Of(bus)
	var failures atomic.Int64
	failures.Store(1)
	_, err := order.Subscribe(t.Context(), eventbus.Queue{Name: "order", Patterns: []string{"catalog.#"}},
		func(context.Context, []eventbus.Delivery) error {
			if failures.Add(-1) == 0 {
				panic("not today")
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if err := catalog.Publish(t.Context(), event("catalog.events.listed.v1"), event("catalog.events.listed.v1")); err != nil {
		t.Fatal(err)
	}
	if err := order.Publish(t.Context(), event("nobody.commands.act.v1")); !errors.Is(err, eventbus.ErrUnroutable) {
		t.Fatalf("a command that nobody takes: %v", err)
	}
	eventually(t, "both were handled", func() bool { return order.Stats().Acknowledged == 2 })
	eventually(t, "the bus knows it", func() bool { return bus.Stats().Acknowledged == 2 })

	sold, ordered, whole := catalog.Stats(), order.Stats(), bus.Stats()
	if sold.Published != 2 || sold.Delivered != 0 || sold.ConfirmTime.Count != 2 || sold.InFlight != 0 {
		t.Errorf("who published: %+v", sold)
	}
	if ordered.Published != 0 || ordered.Unroutable != 1 || ordered.HandlerFailures != 1 || ordered.Lag.Count != 2 {
		t.Errorf("who handled: %+v", ordered)
	}
	for what, pair := range map[string][2]int64{
		"published":        {sold.Published + ordered.Published, whole.Published},
		"delivered":        {sold.Delivered + ordered.Delivered, whole.Delivered},
		"redelivered":      {sold.Redelivered + ordered.Redelivered, whole.Redelivered},
		"acknowledged":     {sold.Acknowledged + ordered.Acknowledged, whole.Acknowledged},
		"handler failures": {sold.HandlerFailures + ordered.HandlerFailures, whole.HandlerFailures},
		"unroutable":       {sold.Unroutable + ordered.Unroutable, whole.Unroutable},
		"attempts":         {int64(sold.HandlerTime.Count + ordered.HandlerTime.Count), int64(whole.HandlerTime.Count)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: the services have %d together, the bus %d", what, pair[0], pair[1])
		}
	}
}

// slow is a bus that is not done with a publish until it is told.
type slow struct {
	eventbus.Bus
	taken, confirm chan struct{}
}

func (s slow) Publish(context.Context, ...eventbus.Event) error {
	s.taken <- struct{}{}
	<-s.confirm
	return nil
}

func TestEventsThatWaitForTheBusAreCountedOneByOne(t *testing.T) {
	bus := slow{taken: make(chan struct{}), confirm: make(chan struct{})}
	order := share.Of(bus)
	done := make(chan error)
	go func() { done <- order.Publish(t.Context(), event("order.events.one.v1"), event("order.events.two.v1")) }()
	<-bus.taken
	if waiting := order.Stats().InFlight; waiting != 2 {
		t.Errorf("%d events in flight, want the two that wait", waiting)
	}
	close(bus.confirm)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if waiting := order.Stats().InFlight; waiting != 0 {
		t.Errorf("%d events in flight after they were confirmed", waiting)
	}
}

func TestServiceThatClosesItsShareTakesTheBusFromNobody(t *testing.T) {
	bus := open(t)
	first, second := share.Of(bus), share.Of(bus)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Ready(); err != nil {
		t.Error(err)
	}
	if err := second.Publish(t.Context(), event("test.events.one.v1")); err != nil {
		t.Error(err)
	}
	if depth, err := second.Depth(t.Context(), eventbus.Unrouted); err != nil || depth != 1 {
		t.Errorf("depth %d, %v", depth, err)
	}
}
