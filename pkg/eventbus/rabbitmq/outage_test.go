package rabbitmq_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/eventbus/rabbitmq"
)

func TestAServiceStartsWhileTheBrokerIsDown(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	w.proxy.refuse(true)
	w.url = strings.Replace(w.url, "guest@", "s3cret@", 1)
	bus := closing(t, w.open(t))
	eventually(t, "it says why it is not ready", func() bool {
		err := bus.Ready()
		return err != nil && strings.Contains(err.Error(), w.proxy.address())
	})
	if text := bus.Ready().Error(); strings.Contains(text, "s3cret") {
		t.Errorf("the password is shown: %s", text)
	}
}

func TestPublishAndSubscribeWaitForTheBroker(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	w.proxy.refuse(true)
	bus := closing(t, w.open(t))
	var crm received
	published, subscribed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := bus.Subscribe(within(t), queue("crm"), crm.handle)
		subscribed <- err
	}()
	go func() { published <- bus.Publish(within(t), placed(1)) }()
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bus.Publish(impatient, placed(2)); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), w.proxy.address()) {
		t.Errorf("a publish that does not wait: %v, want its context's error and the broker's address", err)
	}
	w.proxy.refuse(false)
	for name, outcome := range map[string]chan error{"publish": published, "subscribe": subscribed} {
		if err := <-outcome; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	eventually(t, "ready", func() bool { return bus.Ready() == nil })
	publish(t, bus, placed(3))
	crm.await(t, 1)
}

func TestAnotherNodeIsTriedWhenOneIsDown(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	w.url = "amqp://guest:guest@127.0.0.1:1/," + w.url
	bus := closing(t, w.open(t))
	publish(t, bus, placed(1))
}

func TestAnUnusableURLIsRefusedWithoutShowingIt(t *testing.T) {
	for _, url := range []string{"", "http://127.0.0.1", "amqp://user:pa/ss@host:5672/", "amqp://user:s3cret@host:port/"} {
		_, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: url})
		if err == nil {
			t.Errorf("%q was accepted", url)
			continue
		}
		if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "pa") && strings.Contains(err.Error(), "ss@") {
			t.Errorf("the password is shown: %v", err)
		}
	}
}

// The broker has the events, but its confirms never arrive: the outcome is
// unknown until the same events were sent again on another connection.
func TestAConfirmThatDoesNotComeMakesTheEventsBeSentAgain(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	cfg := w.config()
	cfg.ConfirmTimeout = 100 * time.Millisecond
	cfg.Heartbeat = time.Second // for the consumer's connection to be given up, too
	opened, err := rabbitmq.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	bus := closing(t, notingBus{opened, w})
	subscription := subscribe(t, bus, nothing, "order.#")
	if err := subscription.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return bus.Ready() == nil })
	w.proxy.swallow()
	publish(t, bus, placed(1), placed(2), placed(3))
	if n := opened.Stats().UnknownOutcomes; n != 3 {
		t.Errorf("%d outcomes were unknown, want 3", n)
	}
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	ids := map[string]int{}
	for _, d := range crm.await(t, 6) { // both times the broker stored them
		ids[d.Event.ID]++
	}
	for n := 1; n <= 3; n++ {
		if ids[placed(n).ID] != 2 {
			t.Errorf("event %d arrived %d times, want twice with the same id", n, ids[placed(n).ID])
		}
	}
}

func TestABlockingBrokerIsWaitedFor(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t))
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	eventually(t, "ready", func() bool { return bus.Ready() == nil })
	w.proxy.block("low on memory")
	eventually(t, "not ready", func() bool {
		err := bus.Ready()
		return err != nil && strings.Contains(err.Error(), "low on memory")
	})
	impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := bus.Publish(impatient, placed(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("publish on a blocked connection: %v, want its context's error", err)
	}
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), placed(2)) }()
	w.proxy.unblock()
	if err := <-published; err != nil {
		t.Fatalf("publish: %v", err)
	}
	if got := crm.await(t, 1); got[0].Event.ID != placed(2).ID {
		t.Errorf("got %s: what was given up while blocked was sent nevertheless", got[0].Event.ID)
	}
	eventually(t, "ready again", func() bool { return bus.Ready() == nil })
}

func TestClosingWhileTheBrokerIsDownEndsWithTheContext(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := w.open(t)
	subscribe(t, bus, nothing, "order.#")
	w.proxy.refuse(true)
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), placed(1)) }()
	eventually(t, "the publish waits", func() bool { return bus.(notingBus).Stats().InFlight == 1 })
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := bus.Close(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v, want it to say that publishes were given up", err)
	}
	if err := <-published; err == nil {
		t.Error("a publish that nobody confirmed returned nil")
	}
}
