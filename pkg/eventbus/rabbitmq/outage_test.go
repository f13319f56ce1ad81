package rabbitmq_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
)

func TestAServiceStartsWhileTheBrokerIsDown(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	w.proxy.Down()
	w.url = strings.Replace(w.url, "guest@", "s3cret@", 1)
	bus := closing(t, w.open(t))
	eventually(t, "it says why it is not ready", func() bool {
		err := bus.Ready()
		return err != nil && strings.Contains(err.Error(), w.proxy.Address())
	})
	if text := bus.Ready().Error(); strings.Contains(text, "s3cret") {
		t.Errorf("the password is shown: %s", text)
	}
}

func TestPublishAndSubscribeWaitForTheBroker(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	w.proxy.Down()
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
	if err := bus.Publish(impatient, placed(2)); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), w.proxy.Address()) {
		t.Errorf("a publish that does not wait: %v, want its context's error and the broker's address", err)
	}
	w.proxy.Up()
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

// The broker has the events, but no confirm of the window arrives: the outcome is
// unknown until the same events were sent again on another connection.
func TestAConfirmThatDoesNotComeMakesTheEventsBeSentAgain(t *testing.T) {
	requireBroker(t)
	const count = 1500 // more than a window
	w := newWorld(t)
	deaf := startDeafProxy(t, w.broker)
	cfg := w.config()
	cfg.URL, cfg.ConfirmTimeout = w.through(t, deaf.listener.Addr().String()), 300*time.Millisecond
	bus := closing(t, w.openWith(t, cfg)).(notingBus)
	subscription := subscribe(t, bus, nothing, "order.#")
	if err := subscription.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	events := make([]eventbus.Event, count)
	for n := range events {
		events[n] = placed(n)
	}
	deaf.lose(isConfirm)
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), events...) }()
	eventually(t, "a window is in doubt", func() bool { return bus.Stats().UnknownOutcomes >= 1024 })
	deaf.loseNothing()
	if err := <-published; err != nil {
		t.Fatalf("publish: %v", err)
	}
	if deaf.lost.Load() == 0 {
		t.Error("the test is wrong: no confirm was lost")
	}
	if stats := bus.Stats(); stats.Published != count || stats.Reconnects == 0 {
		t.Errorf("%d published and %d reconnects, want %d and at least one", stats.Published, stats.Reconnects, count)
	}
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	crm.await(t, count+1024) // the window was stored twice
	for n, id := range crm.firsts() {
		if id != placed(n).ID {
			t.Fatalf("event %d to arrive is %s", n, id)
		}
	}
}

func TestClosingWhileTheBrokerIsDownEndsWithTheContext(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := w.open(t)
	subscribe(t, bus, nothing, "order.#")
	w.proxy.Down()
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), placed(1), placed(2)) }()
	eventually(t, "the publish waits", func() bool { return bus.(notingBus).Stats().InFlight == 2 })
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := bus.Close(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v, want it to say that publishes were given up", err)
	}
	if err := <-published; err == nil {
		t.Error("a publish that nobody confirmed returned nil")
	}
}

// What has had no answer is tried on a connection of its own. Nothing of that is
// left when the bus is closed: the proxy waits for its connections to end.
func TestClosingEndsWhatIsTriedAlone(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	deaf := startDeafProxy(t, w.broker)
	cfg := w.config()
	cfg.URL, cfg.ConfirmTimeout = w.through(t, deaf.listener.Addr().String()), time.Second
	bus := w.openWith(t, cfg)
	eventually(t, "ready", func() bool { return bus.Ready() == nil })
	deaf.lose(isConfirm)
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), placed(1), placed(2)) }()
	eventually(t, "the first is tried alone", func() bool { return deaf.connections() == 3 && bus.Ready() == nil })
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := bus.Close(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v, want it to say that publishes were given up", err)
	}
	if err := <-published; !errors.Is(err, eventbus.ErrClosed) {
		t.Errorf("publish: %v, want that the bus is closed", err)
	}
}
