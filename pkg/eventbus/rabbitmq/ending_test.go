package rabbitmq_test

import (
	"context"
	"errors"
	"testing"

	"orderflow/pkg/eventbus"
)

// What has come back often is taken one by one, while the rest of what came back
// waits in the broker. Ending then must not put the one behind the rest.
func TestClosingWhileSuspectsAreTakenOneByOneKeepsTheOrder(t *testing.T) {
	requireBroker(t)
	for name, end := range map[string]struct {
		outcome  error
		standsBy bool // another instance
	}{
		"TheHandlerFinishes":                            {},
		"TheHandlerFinishesAndAnotherInstanceTakesOver": {standsBy: true},
		"TheHandlerFails":                               {outcome: errors.New("the database is down")},
	} {
		t.Run(name, func(t *testing.T) {
			const total, batch = 12, 3
			w := newWorld(t)
			crm := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: batch}
			first, second := closing(t, w.open(t)), closing(t, w.open(t))
			s := subscribeTo(t, first, crm, nothing)
			if err := s.Close(within(t)); err != nil {
				t.Fatal(err)
			}
			for n := range total {
				publish(t, first, placed(n))
			}
			for range 3 {
				w.sendBack(t, "crm", 2*batch)
			}
			var got received
			entered, release := make(chan int, 100), make(chan struct{})
			s = subscribeTo(t, first, crm, func(ctx context.Context, events []eventbus.Delivery) error {
				entered <- len(events)
				<-release
				if end.outcome != nil {
					return end.outcome
				}
				return got.handle(ctx, events)
			})
			if n := <-entered; n != 1 {
				t.Fatalf("the test is wrong: %d deliveries at once", n)
			}
			if end.standsBy {
				standby := subscribeTo(t, second, crm, got.handle)
				eventually(t, "the other one stands by", func() bool { return standby.Ready() == nil })
			}
			closed := make(chan error, 1)
			go func() { closed <- s.Close(within(t)) }()
			eventually(t, "it is closing", func() bool { return errors.Is(s.Ready(), eventbus.ErrClosed) })
			close(release)
			if err := <-closed; err != nil {
				t.Fatal(err)
			}
			if !end.standsBy {
				subscribeTo(t, second, crm, got.handle)
			}
			eventually(t, "all are handled", func() bool { return got.count() == total })
			for n, e := range got.firstEvents() {
				if e.Sequence != int64(n) {
					t.Fatalf("the order is %v", got.firsts())
				}
			}
		})
	}
}

// sendBack takes so many deliveries of a queue and loses its channel.
func (w *world) sendBack(t *testing.T, queue string, count int) {
	t.Helper()
	ch := w.channel(t)
	if err := ch.Qos(count, 0, false); err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(w.namespace+"."+queue, "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range count {
		<-deliveries
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
}

func subscribeTo(t *testing.T, bus eventbus.Bus, q eventbus.Queue, h eventbus.Handler) eventbus.Subscription {
	t.Helper()
	s, err := bus.Subscribe(within(t), q, h)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	return s
}
