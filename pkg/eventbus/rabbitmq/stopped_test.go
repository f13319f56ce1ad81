//go:build unix

package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
)

// Everything here does something to the broker that others must not suffer from.
func TestABrokerInTroubleLosesNothing(t *testing.T) {
	requireBroker(t)
	n := startBroker(t)
	t.Run("StoppedKilledAndStartedUnderLoad", n.stoppedKilledAndStarted)
	t.Run("ShortOfMemory", n.shortOfMemory)
	t.Run("OneQueueDoesNotAnswer", n.oneQueueDoesNotAnswer)
	t.Run("AQueueThatDoesNotAnswerHoldsUpOthersOnce", n.oneQueueHoldsUpOthersOnce)
	t.Run("PoliciesAreApplied", n.policiesAreApplied)
	t.Run("AHandlerOutlastsTheAcknowledgementTimeout", n.handlerOutlastsTimeout)
}

// The kill comes last: a quorum queue of RabbitMQ 3.10 survives it once it has been stopped properly, and not in the first
// seconds after it was declared.
func (n *node) stoppedKilledAndStarted(t *testing.T) {
	tr := startTrafficIn(t, n.world(t), 100)
	tr.more(t, 200)
	for round, restart := range []func(){
		func() { n.control(t, "stop_app"); n.control(t, "start_app") },
		func() { n.stop(t); n.start(t) },
		func() { n.kill(t); n.start(t) },
	} {
		before := tr.consumer.Stats().Reconnects
		restart()
		eventually(t, fmt.Sprintf("reconnected after restart %d", round+1), func() bool {
			return tr.consumer.Stats().Reconnects > before && tr.consumer.Ready() == nil && tr.publisher.Ready() == nil
		})
		tr.more(t, 200)
	}
	tr.account(t)
}

// The alarm is a real one: the broker reads no more from who publishes.
func (n *node) shortOfMemory(t *testing.T) {
	w := n.world(t)
	bus, other := closing(t, w.open(t)).(notingBus), w.open(t)
	var crm received
	release := make(chan struct{})
	subscribe(t, bus, func(ctx context.Context, batch []eventbus.Delivery) error {
		<-release
		return crm.handle(ctx, batch)
	}, "order.#")
	publish(t, bus, placed(1))
	publish(t, other, placed(2))
	n.control(t, "set_vm_memory_high_watermark", "0.0001")
	defer n.control(t, "set_vm_memory_high_watermark", "0.4")

	// A broker tells who publishes next.
	for _, b := range []eventbus.Bus{bus, other} {
		impatient, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := b.Publish(impatient, placed(3)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("publish: %v, want its context's error", err)
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("publish ended after %s, long after its context", took)
		}
	}
	eventually(t, "it says that the broker blocks", func() bool {
		err := bus.Ready()
		return err != nil && strings.Contains(err.Error(), "blocks")
	})
	if err := bus.Publish(expired(t), placed(4)); err == nil {
		t.Error("a publish on a blocked connection succeeded")
	}
	if stats := bus.Stats(); !stats.Blocked || stats.BlockedFor <= 0 {
		t.Errorf("blocked %v for %s", stats.Blocked, stats.BlockedFor)
	}

	// Acknowledging goes on, so that the broker can be relieved.
	close(release)
	eventually(t, "what was there is acknowledged", func() bool { return bus.Stats().Acknowledged >= 2 })

	// A process that ends meanwhile does not hang.
	ending, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_ = other.Close(ending)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("closing took %s", took)
	}

	waiting := make(chan error, 1)
	go func() { waiting <- bus.Publish(within(t), placed(5)) }()
	n.control(t, "set_vm_memory_high_watermark", "0.4")
	if err := <-waiting; err != nil {
		t.Fatalf("publish after the alarm: %v", err)
	}
	eventually(t, "ready", func() bool { return bus.Ready() == nil })
	eventually(t, "it arrived", func() bool { return crm.has(placed(5).ID) })
	if crm.has(placed(4).ID) {
		t.Error("what was given up while the broker blocked was sent nevertheless")
	}
	if stats := bus.Stats(); stats.Blocked || stats.Reconnects != 0 {
		t.Errorf("blocked %v, %d reconnects: a broker that blocks is waited for", stats.Blocked, stats.Reconnects)
	}
}

// A quorum queue that has lost its leader takes publishes and says nothing.
func (n *node) oneQueueDoesNotAnswer(t *testing.T) {
	w := n.world(t)
	cfg := w.config()
	cfg.ConfirmTimeout = time.Second
	bus := closing(t, w.openWith(t, cfg)).(notingBus)
	var crm, packing received
	subscribe(t, bus, crm.handle, "order.#")
	if _, err := bus.Subscribe(within(t), eventbus.Queue{Name: "packing", Patterns: []string{"packing.#"}}, packing.handle); err != nil {
		t.Fatal(err)
	}
	// The first publish of a channel to a queue waits for its answer, inside the
	// broker, and everything behind it on the channel with it.
	publish(t, bus, rejected(99))
	packing.await(t, 1)
	leader := fmt.Sprintf("'%%2F_%s.packing'", w.namespace)
	n.control(t, "eval", "sys:suspend("+leader+").")

	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), placed(1), rejected(0), placed(2)) }()
	next := 3
	for ; bus.Stats().UnknownOutcomes < 2; next++ { // the event is tried again, alone
		if next > 100_000 {
			t.Fatal("the event without an answer is not tried again")
		}
		publish(t, bus, placed(next))
	}
	eventually(t, "all others arrived", func() bool { return crm.count() == next-1 })
	if got := len(crm.all()); got != next-1 {
		t.Errorf("%d deliveries of %d events: those that the broker confirmed were sent again", got, next-1)
	}
	if reconnects := bus.Stats().Reconnects; reconnects != 0 {
		t.Errorf("%d reconnects: one queue cost everybody the connection", reconnects)
	}
	n.control(t, "eval", "sys:resume("+leader+").")
	if err := <-published; err != nil {
		t.Fatalf("publish: %v", err)
	}
	eventually(t, "it arrived", func() bool { return packing.has(rejected(0).ID) })
}

// With more than some thirty events for such a queue on their way the broker
// stops reading from the connection, and on a new one after the first. Others wait
// until that is noticed, and never again.
func (n *node) oneQueueHoldsUpOthersOnce(t *testing.T) {
	const burst = 200
	w := n.world(t)
	cfg := w.config()
	cfg.ConfirmTimeout = 2 * time.Second
	bus := closing(t, w.openWith(t, cfg)).(notingBus)
	var crm, packing received
	subscribe(t, bus, crm.handle, "order.#")
	if _, err := bus.Subscribe(within(t), eventbus.Queue{Name: "packing", Patterns: []string{"packing.#"}}, packing.handle); err != nil {
		t.Fatal(err)
	}
	leader := fmt.Sprintf("'%%2F_%s.packing'", w.namespace)
	n.control(t, "eval", "sys:suspend("+leader+").")

	events := make([]eventbus.Event, burst)
	for i := range events {
		events[i] = rejected(i)
		events[i].Subject = fmt.Sprint("o", i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	published := make(chan error, 1)
	go func() { published <- bus.Publish(ctx, events...) }()
	next := 1
	for ; bus.Stats().UnknownOutcomes < burst+4; next++ { // all were in doubt, and the first of them again and again
		if err := bus.Publish(ctx, placed(next)); err != nil {
			t.Fatalf("publish event %d: %v", next, err)
		}
	}
	if reconnects := bus.Stats().Reconnects; reconnects > 2 { // a busy machine may look silent once more
		t.Errorf("%d reconnects: others waited again and again", reconnects)
	}
	n.control(t, "eval", "sys:resume("+leader+").")
	if err := <-published; err != nil {
		t.Fatalf("publish: %v", err)
	}
	eventually(t, "all of them arrived", func() bool { return packing.count() == burst })
	eventually(t, "and so did all others", func() bool { return crm.count() == next-1 })
}

// A broker takes back what is not acknowledged in time, half an hour unless
// configured, by closing the channel.
func (n *node) handlerOutlastsTimeout(t *testing.T) {
	n.control(t, "eval", "application:set_env(rabbit, consumer_timeout, 500), application:set_env(rabbit, channel_tick_interval, 200).")
	w := n.world(t)
	bus := closing(t, w.open(t)).(notingBus)
	var crm received
	release := make(chan struct{})
	s := subscribe(t, bus, func(ctx context.Context, batch []eventbus.Delivery) error {
		<-release
		return crm.handle(ctx, batch)
	}, "order.#")
	publish(t, bus, placed(1), placed(2))
	eventually(t, "it says that the deliveries are lost, while the handler is busy", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "timed out")
	})
	close(release)
	crm.await(t, 3) // what the handler had comes again
	eventually(t, "nothing is left", func() bool { return s.Ready() == nil && w.ready(t, "crm") == 0 && bus.Stats().Acknowledged >= 2 })
}

// Queues declared before and after the policies came are the same for the bus:
// what it declares and what they say does not contradict.
func (n *node) policiesAreApplied(t *testing.T) {
	use := func(name string) {
		bus := closing(t, openAt(t, n.url()))
		var got received
		if _, err := bus.Subscribe(within(t), queue(name), got.handle); err != nil {
			t.Fatal(err)
		}
		publish(t, bus, placed(1))
		got.await(t, 1)
		if err := bus.Close(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	use("crm")
	n.control(t, "import_definitions", rabbitmq.PoliciesFile)
	use("crm")
	use("packing")
	policies := n.control(t, "list_queues", "name", "policy")
	for _, want := range []string{
		"crm\torderflow-services", "packing\torderflow-services", "crm.dead\torderflow-dead", "orderflow.unrouted\torderflow-unrouted",
	} {
		if !strings.Contains(policies, want+"\n") {
			t.Errorf("no line %q in\n%s", want, policies)
		}
	}
	if strings.Contains(policies, "bindings\torderflow") {
		t.Errorf("the records of bindings are limited:\n%s", policies)
	}
}

func openAt(t *testing.T, url string) eventbus.Bus {
	t.Helper()
	bus, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return bus
}

// expired is a context that is over soon.
func expired(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
