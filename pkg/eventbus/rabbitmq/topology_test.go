package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

func queue(name string) eventbus.Queue {
	return eventbus.Queue{Name: name, Patterns: []string{"order.#"}}
}

func TestAForeignQueueIsADeployErrorThatNamesIt(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	w.note("crm")
	ch := w.channel(t)
	if _, err := ch.QueueDeclare(w.namespace+".crm", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	_, err := closing(t, w.open(t)).Subscribe(within(t), queue("crm"), nothing)
	var refusal *amqp.Error
	if !errors.As(err, &refusal) || refusal.Code != amqp.PreconditionFailed || !strings.Contains(err.Error(), w.namespace+".crm") {
		t.Errorf("got %v, want the broker's refusal with the queue's name", err)
	}
}

func TestAQueueRemovedUnderItsConsumerIsDeclaredAgain(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	var crm received
	bus := closing(t, w.open(t))
	s := subscribe(t, bus, crm.handle, "order.#")
	eventually(t, "consuming", func() bool { return s.Ready() == nil })
	w.removeQueue(t, "crm")
	eventually(t, "it noticed", func() bool { return s.Ready() != nil })
	eventually(t, "consuming again", func() bool { return s.Ready() == nil })
	publish(t, bus, placed(1))
	crm.await(t, 1)
}

// Whoever consumes a queue that another instance is only just declaring loses its
// connection, on RabbitMQ 3.10.
func TestInstancesTakeTurnsToDeclareAQueueThatWasRemoved(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	proxy := startDeafProxy(t, w.broker)
	bus := closing(t, w.openBehind(t, proxy))
	var crm received
	s := subscribe(t, bus, crm.handle, "order.#")
	eventually(t, "consuming", func() bool { return s.Ready() == nil })
	other := w.channel(t)
	if _, err := other.QueueDeclare(w.namespace+".crm.bindings.lock", false, true, true, false, nil); err != nil {
		t.Fatal(err)
	}
	var turnedAway atomic.Int64
	proxy.lose(func(frame []byte) bool {
		if isChannelRefused(frame, amqp.ResourceLocked) {
			turnedAway.Add(1)
		}
		return false
	})
	if _, err := other.QueueDelete(w.namespace+".crm", false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits for its turn", func() bool { return turnedAway.Load() > 1 })
	if _, err := w.channel(t).QueueDeclarePassive(w.namespace+".crm", true, false, false, false, nil); err == nil {
		t.Error("it has declared the queue while it was another's turn")
	}
	if _, err := other.QueueDelete(w.namespace+".crm.bindings.lock", false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "consuming again", func() bool { return s.Ready() == nil })
	publish(t, bus, placed(1))
	crm.await(t, 1)
}

// The broker takes its time to close the channel of the consumer that it has cancelled.
func TestASubscriptionIsNotReadyBetweenTwoConsumers(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	proxy := startDeafProxy(t, w.broker)
	bus := closing(t, w.openBehind(t, proxy))
	s := subscribe(t, bus, nothing, "order.#")
	eventually(t, "consuming", func() bool { return s.Ready() == nil })
	proxy.lose(isChannelClosed)
	w.removeQueue(t, "crm")
	eventually(t, "the channel is being closed", func() bool { return proxy.lost.Load() > 0 })
	if err := s.Ready(); err == nil {
		t.Error("it is ready, and nobody consumes")
	}
	proxy.loseNothing()
	proxy.cut()
	eventually(t, "consuming again", func() bool { return s.Ready() == nil })
}

// The queue goes between its declaration and its bindings.
func TestAQueueRemovedUnderItsSubscriberIsDeclaredAgain(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	proxy := startDeafProxy(t, w.broker)
	bus := closing(t, w.openBehind(t, proxy))
	var removed atomic.Bool // frames of two connections are looked at
	ch := w.channel(t)
	proxy.lose(func(frame []byte) bool {
		if isDeclared(frame, w.namespace+".crm") && removed.CompareAndSwap(false, true) {
			if _, err := ch.QueueDelete(w.namespace+".crm", false, false, false); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	publish(t, bus, placed(1))
	crm.await(t, 1)
	if !removed.Load() {
		t.Error("the test is wrong: nothing was removed")
	}
}

// A declaration that is never answered, as of a queue that has lost its leader,
// is given up; other instances must not suffer from it.
func TestASubscribeThatIsGivenUpLetsOthersSubscribe(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	for _, unanswered := range []string{"crm", "crm.bindings.lock"} {
		t.Run(unanswered, func(t *testing.T) {
			proxy := startDeafProxy(t, w.broker)
			bus, other := closing(t, w.openBehind(t, proxy)), closing(t, w.open(t))
			given, giveUp := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			proxy.lose(func(frame []byte) bool {
				lost := isDeclared(frame, w.namespace+"."+unanswered)
				if lost {
					giveUp(enough)
				}
				return lost
			})
			if _, err := bus.Subscribe(given, queue("crm"), nothing); !errors.Is(err, enough) {
				t.Fatalf("subscribe: %v, want what ended its context", err)
			}
			var crm received
			subscribe(t, other, crm.handle, "order.#")
			publish(t, other, placed(1))
			crm.await(t, 1)
		})
	}
}

// Each of these would make a publish fail, or worse, confirm it and lose it.
func TestExchangesThatWereRemovedAreDeclaredAgain(t *testing.T) {
	requireBroker(t)
	for _, exchange := range []string{"events", "unrouted"} {
		t.Run(exchange, func(t *testing.T) {
			w := newWorld(t)
			bus := closing(t, w.open(t))
			publish(t, bus, placed(1))
			if err := w.channel(t).ExchangeDelete(w.namespace+"."+exchange, false, false); err != nil {
				t.Fatal(err)
			}
			publish(t, bus, placed(2), placed(3))
			eventually(t, "all kept", func() bool { return w.ready(t, eventbus.Unrouted) >= 3 })
		})
	}
}

func TestTheUnroutedQueueThatWasRemovedIsDeclaredAgain(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t))
	publish(t, bus, placed(1))
	w.removeQueue(t, "unrouted")
	publish(t, bus, placed(2))
	eventually(t, "kept", func() bool { return w.ready(t, eventbus.Unrouted) == 1 })
}

func TestUnroutedEventsArePublishedAgainWhateverTheDeliveryLimit(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	cfg := w.config()
	cfg.DeliveryLimit = 8
	bus := closing(t, w.openWith(t, cfg))
	publish(t, bus, placed(1))
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	eventually(t, "one is kept", func() bool { return w.ready(t, eventbus.Unrouted) == 1 })
	if n, err := eventbus.Redrive(within(t), bus, 0); n.Published != 1 || err != nil {
		t.Fatalf("redrive: %+v, %v", n, err)
	}
	crm.await(t, 1)
}

// Only what the bus itself calls so is consumed by all its instances at once.
func TestAServiceMayBeCalledAfterTheUnroutedQueue(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	var first, second received
	handlers := [...]eventbus.Handler{first.handle, second.handle}
	for _, handle := range handlers {
		s, err := closing(t, w.open(t)).Subscribe(within(t), queue("archive.unrouted"), handle)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "ready", func() bool { return s.Ready() == nil })
	}
	bus := closing(t, w.open(t))
	for n := range 20 {
		publish(t, bus, placed(n))
	}
	eventually(t, "all are handled", func() bool { return first.count()+second.count() >= 20 })
	if first.count() > 0 && second.count() > 0 {
		t.Error("two instances took turns")
	}
}

// The record is what a later start unbinds by; a crash in the middle leaves two
// messages, which together say what may be bound.
func TestTheRecordOfBindingsSurvivesACrash(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t))
	for _, patterns := range [][]string{{"order.#", "packing.#"}, {"order.#"}, {"order.#"}} {
		s := subscribe(t, bus, nothing, patterns...)
		if err := s.Close(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.peek(t, "crm.bindings"); !slices.Equal(got, []string{`["order.#"]`}) {
		t.Fatalf("the record is %q", got)
	}
	ch := w.channel(t)
	if err := ch.QueueBind(w.namespace+".crm", "dispatch.#", w.namespace+".events", false, nil); err != nil {
		t.Fatal(err)
	}
	w.publishRaw(t, "", w.namespace+".crm.bindings", amqp.Publishing{Body: []byte(`["dispatch.#","order.#"]`)})
	subscribe(t, bus, nothing, "order.#")
	if got := w.peek(t, "crm.bindings"); !slices.Equal(got, []string{`["order.#"]`}) {
		t.Errorf("the record is %q", got)
	}
	dispatched := placed(1)
	dispatched.Type = "dispatch.events.dispatched.v1"
	publish(t, bus, dispatched)
	eventually(t, "nobody is bound to it", func() bool { return w.ready(t, eventbus.Unrouted) == 1 })
}

func TestManyInstancesStartAtOnce(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	w.note("crm")
	var crm received
	var starting sync.WaitGroup
	for n := range 6 {
		bus := closing(t, w.open(t)).(notingBus).Bus
		starting.Go(func() {
			patterns := []string{"order.#", fmt.Sprintf("other%d.#", n)}
			if _, err := bus.Subscribe(within(t), eventbus.Queue{Name: "crm", Patterns: patterns}, crm.handle); err != nil {
				t.Errorf("instance %d: %v", n, err)
			}
		})
	}
	starting.Wait()
	if got := w.peek(t, "crm.bindings"); len(got) != 1 {
		t.Errorf("the record is %q, want the last one's patterns", got)
	}
	publish(t, closing(t, w.open(t)), placed(1))
	crm.await(t, 1)
}

// The record only serves to unbind. Whatever is wrong with it, the consumer works.
func TestARecordThatCannotBeReadDoesNotKeepAConsumerFromItsEvents(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t))
	s := subscribe(t, bus, nothing, "order.#")
	if err := s.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	w.publishRaw(t, "", w.namespace+".crm.bindings", amqp.Publishing{Body: []byte("scribble")})
	var crm received
	subscribe(t, bus, crm.handle, "order.#", "packing.#")
	packed := placed(2)
	packed.Type = "packing.events.packed.v1"
	publish(t, bus, placed(1), packed)
	crm.await(t, 2)
}
