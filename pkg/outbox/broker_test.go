package outbox_test

import (
	"context"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
)

// broker is a RabbitMQ with one quorum queue for everything.
type broker struct {
	bus       *rabbitmq.Bus
	conn      *amqp.Connection
	namespace string
}

// openBroker connects the bus through url, which may lead through a proxy; what
// the test does itself goes straight.
func openBroker(t testing.TB, url string) *broker {
	t.Helper()
	direct := rabbitmqtest.URL(t)
	conn, err := amqp.Dial(direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	k := &broker{conn: conn, namespace: rabbitmqtest.Namespace(t, direct, "all")}
	k.bus, err = rabbitmq.Open(t.Context(), rabbitmq.Config{URL: url, Namespace: k.namespace, ConfirmTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.close(t) })
	k.subscribe(t, func(context.Context, []eventbus.Delivery) error { return nil })() // declares the queue
	return k
}

// subscribe consumes everything until stop.
func (k *broker) subscribe(t testing.TB, h eventbus.Handler) (stop func()) {
	t.Helper()
	subscription, err := k.bus.Subscribe(t.Context(), eventbus.Queue{Name: "all", Patterns: []string{"#"}}, h)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := subscription.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

func (k *broker) close(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := k.bus.Close(ctx); err != nil {
		t.Error(err)
	}
}

func (k *broker) channel(t testing.TB) *amqp.Channel {
	t.Helper()
	ch, err := k.conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// ids takes all messages that the broker has, and returns their ids in its order.
func (k *broker) ids(t testing.TB) []string {
	t.Helper()
	ch := k.channel(t)
	defer ch.Close()
	queue, err := ch.QueueDeclarePassive(k.namespace+".all", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(queue.Name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, queue.Messages)
	for i := range ids {
		select {
		case d, ok := <-deliveries:
			if !ok {
				t.Fatal("the broker has stopped delivering")
			}
			ids[i] = d.MessageId
		case <-time.After(time.Minute):
			t.Fatalf("the broker has delivered %d of %d", i, len(ids))
		}
	}
	return ids
}

func (k *broker) purge(t testing.TB) {
	t.Helper()
	ch := k.channel(t)
	defer ch.Close()
	if _, err := ch.QueuePurge(k.namespace+".all", false); err != nil {
		t.Fatal(err)
	}
}

// publishRaw publishes the bodies with the bare client as well as it can be done.
func (k *broker) publishRaw(t testing.TB, events []eventbus.Event) {
	t.Helper()
	ch := k.channel(t)
	defer ch.Close()
	rabbitmqtest.Publish(t, ch, k.namespace+".events", events[0].Type, events, rabbitmqtest.Window, rabbitmqtest.Bare)
}
