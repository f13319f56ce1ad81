package rabbitmq_test

import (
	"context"
	"errors"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
)

func TestAttemptsOfAHandlerDoNotCountTowardsTheDeliveryLimit(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t))
	attempts := make(chan struct{}, 100)
	s := subscribe(t, bus, func(context.Context, []eventbus.Delivery) error {
		attempts <- struct{}{}
		return errors.New("the database is down")
	}, "order.#")
	publish(t, bus, placed(1))
	for range 4 {
		<-attempts
	}
	if err := s.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	deliveries, err := w.channel(t).Consume(w.namespace+".crm", "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := <-deliveries
	if count, _ := m.Headers["x-delivery-count"].(int64); count > 1 {
		t.Errorf("returned %d times for 4 attempts, want once: by closing", count)
	}
}

func TestTheBrokersLastResortKeepsWhatComesBackTooOften(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t))
	s := subscribe(t, bus, nothing, "order.#")
	if err := s.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	publish(t, bus, placed(1))
	deliveries, err := w.channel(t).Consume(w.namespace+".crm", "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	returns := 0
	eventually(t, "the message is a dead letter", func() bool {
		select {
		case m := <-deliveries:
			returns++
			if err := m.Reject(true); err != nil {
				t.Fatal(err)
			}
		default:
		}
		return w.ready(t, "crm.dead") == 1
	})
	if returns < 50 {
		t.Errorf("dead after %d returns, want many more than any service tries", returns)
	}
	var dead received
	if _, err := bus.Subscribe(within(t), eventbus.Queue{Name: "crm" + eventbus.DeadSuffix}, dead.handle); err != nil {
		t.Fatal(err)
	}
	if got := dead.await(t, 1); got[0].Malformed != nil || got[0].Event.ID != placed(1).ID {
		t.Errorf("got %+v, want the event as it was published", got[0])
	}
}

// A process that dies takes its whole batch with it, and what it had in advance,
// and the broker counts that against all of them.
func TestOnlyTheMessageThatCrashesItsConsumerBecomesADeadLetter(t *testing.T) {
	requireBroker(t)
	const innocent = 120
	w := newWorld(t)
	cfg := w.config()
	cfg.DeliveryLimit = 8
	publisher := closing(t, w.openWith(t, cfg))
	s := subscribe(t, publisher, nothing, "order.#")
	if err := s.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	guilty := placed(40)
	for n := range innocent {
		publish(t, publisher, placed(n))
	}
	var crm received
	crashes := 0
	over := func() bool { return len(crm.firsts()) == innocent-1 && w.ready(t, "crm.dead") > 0 }
	for ; !over(); crashes++ {
		if crashes > 2*cfg.DeliveryLimit {
			t.Fatalf("%d crashes, and %d of %d events handled", crashes, len(crm.firsts()), innocent-1)
		}
		// One process: it handles events until the guilty one cuts it off.
		bus := w.openWith(t, cfg)
		crashed := make(chan struct{})
		subscribe(t, bus, func(ctx context.Context, batch []eventbus.Delivery) error {
			for _, d := range batch {
				if d.Event.ID == guilty.ID {
					close(crashed)
					<-ctx.Done()
					return ctx.Err()
				}
			}
			return crm.handle(ctx, batch)
		}, "order.#")
		eventually(t, "it crashed, or all is done", func() bool {
			select {
			case <-crashed:
				return true
			default:
				return over()
			}
		})
		w.proxy.Cut()
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		_ = bus.Close(impatient) // says that it did not wait
	}
	if crashes < cfg.DeliveryLimit/2 {
		t.Errorf("a dead letter after %d crashes, with a limit of %d", crashes, cfg.DeliveryLimit)
	}
	var dead received
	if _, err := publisher.Subscribe(within(t), eventbus.Queue{Name: "crm" + eventbus.DeadSuffix}, dead.handle); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is left", func() bool { return w.ready(t, "crm")+w.ready(t, "crm.dead") == 0 })
	for _, d := range dead.await(t, 1) {
		if d.Event.ID != guilty.ID {
			t.Errorf("%s is a dead letter, too", d.Event.ID)
		}
	}
}

func TestANegativeDeliveryLimitIsRefused(t *testing.T) {
	if _, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: "amqp://127.0.0.1:1/", DeliveryLimit: -1}); err == nil {
		t.Error("accepted; RabbitMQ 3.10 would drop every message at its first return")
	}
}
