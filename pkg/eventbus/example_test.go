package eventbus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
)

// openBus opens a bus for an example; done closes it and removes its file.
func openBus(ctx context.Context) (bus eventbus.Bus, done func()) {
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		panic(err)
	}
	bus, err = sqlitebus.Open(ctx, sqlitebus.Config{Path: filepath.Join(dir, "bus.db")})
	if err != nil {
		panic(err)
	}
	return bus, func() {
		if err := errors.Join(bus.Close(ctx), os.RemoveAll(dir)); err != nil {
			panic(err)
		}
	}
}

func exampleEvent(typ, id string) eventbus.Event {
	return eventbus.Event{
		ID: id, Source: "/orderflow/order", Type: typ, Subject: "o-1",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: []byte(`{}`),
	}
}

// A handler takes batches. While it returns an error nothing is acknowledged:
// the same batch comes again.
func ExampleHandler() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bus, done := openBus(ctx)
	defer done()

	attempts, handled := 0, make(chan struct{})
	queue := eventbus.Queue{Name: "packing", Patterns: []string{"order.events.#"}, BatchSize: 50}
	_, err := bus.Subscribe(ctx, queue, func(_ context.Context, batch []eventbus.Delivery) error {
		attempts++
		fmt.Printf("attempt %d: %s, redelivered %v\n", attempts, batch[0].Event.ID, batch[0].Redelivered)
		if attempts == 1 {
			return errors.New("the database is down")
		}
		close(handled)
		return nil
	})
	if err != nil {
		panic(err)
	}
	if err := bus.Publish(ctx, exampleEvent("order.events.placed.v1", "e-1")); err != nil {
		panic(err)
	}
	<-handled
	// Output:
	// attempt 1: e-1, redelivered false
	// attempt 2: e-1, redelivered true
}

// What was published before anybody wanted it is not lost.
func ExampleRedrive() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bus, done := openBus(ctx)
	defer done()

	if err := bus.Publish(ctx, exampleEvent("order.events.placed.v1", "e-1")); err != nil {
		panic(err)
	}
	depth, err := bus.Depth(ctx, eventbus.Unrouted)
	fmt.Println("unrouted:", depth, err)

	// A service is added.
	heard := make(chan string)
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	_, err = bus.Subscribe(ctx, queue, func(_ context.Context, batch []eventbus.Delivery) error {
		for _, d := range batch {
			heard <- d.Event.ID
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	redriven, err := eventbus.Redrive(ctx, bus, 100)
	fmt.Println("published again:", redriven.Published, err)
	fmt.Println("crm has", <-heard)
	// Output:
	// unrouted: 1 <nil>
	// published again: 1 <nil>
	// crm has e-1
}

// A command nobody listens for is an error, unlike an event.
func ExamplePublisher_command() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bus, done := openBus(ctx)
	defer done()

	err := bus.Publish(ctx, exampleEvent("order.commands.cancel.v1", "c-1"))
	fmt.Println(errors.Is(err, eventbus.ErrUnroutable))
	fmt.Println(err)
	// Output:
	// true
	// publish order.commands.cancel.v1 c-1: no queue takes this command
}
