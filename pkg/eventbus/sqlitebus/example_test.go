package sqlitebus_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
)

// A service without a database of its own subscribes through a router. It
// decodes only the fields it reads, and ignores event types it does not know.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	bus, err := sqlitebus.Open(ctx, sqlitebus.Config{Path: filepath.Join(dir, "bus.db")})
	if err != nil {
		panic(err)
	}

	type placed struct {
		Total struct {
			Amount   int64  `json:"amount"`
			Currency string `json:"currency"`
		} `json:"total"`
	}
	seen := make(chan string, 1)
	router := eventbus.NewRouter(slog.Default())
	eventbus.On(router, "order.events.placed.v1", func(_ context.Context, e eventbus.Event, data placed) error {
		seen <- fmt.Sprintf("order %s: %d %s", e.Subject, data.Total.Amount, data.Total.Currency)
		return nil
	})
	_, err = bus.Subscribe(ctx, eventbus.Queue{Name: "console", Patterns: router.Patterns()}, router.Handle)
	if err != nil {
		panic(err)
	}

	err = bus.Publish(ctx, eventbus.Event{
		ID: "0197e1c4-0000-7000-8000-000000000001", Source: "/orderflow/order",
		Type: "order.events.placed.v1", Subject: "o-1", Time: time.Now(),
		Data: []byte(`{"orderId":"o-1","total":{"amount":1250,"currency":"EUR"}}`),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(<-seen)
	if err := bus.Close(ctx); err != nil {
		panic(err)
	}
	// Output: order o-1: 1250 EUR
}
