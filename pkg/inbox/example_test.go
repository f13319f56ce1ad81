package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// A read model that counts the lines of orders. Delivering an event twice
// changes nothing.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "inbox")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	db, err := sqldb.Open(ctx, "sqlite://"+filepath.Join(folder, "packing.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := inbox.Migrate(ctx, db); err != nil {
		panic(err)
	}
	err = db.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE job (order_id TEXT PRIMARY KEY, lines BIGINT NOT NULL)`)
		return err
	})
	if err != nil {
		panic(err)
	}

	// A consumer declares what it reads, not what there is.
	type orderPlaced struct {
		Lines []struct {
			SKU string `json:"sku"`
		} `json:"lines"`
	}
	in := inbox.New(db, "packing", slog.New(slog.DiscardHandler), inbox.Options{})
	inbox.On(in, "order.events.placed.v1", func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, order orderPlaced) error {
		_, err := tx.Exec(ctx, `INSERT INTO job (order_id, lines) VALUES ($1, $2)`, e.Subject, len(order.Lines))
		return err
	})

	// What a bus does, once it subscribed with in.Patterns() and in.Handle.
	placed := eventbus.Event{
		ID: "0190", Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: "order-1", Time: time.Now(),
		Data: json.RawMessage(`{"lines":[{"sku":"mug"},{"sku":"pen"}],"total":{"amount":1700,"currency":"EUR"}}`),
	}
	for range 2 {
		if err := in.Handle(ctx, []eventbus.Delivery{{Event: placed}}); err != nil {
			panic(err)
		}
	}
	var lines int
	if err := db.QueryRow(ctx, `SELECT lines FROM job WHERE order_id = $1`, "order-1").Scan(&lines); err != nil {
		panic(err)
	}
	fmt.Println(lines, "lines to pack,", in.Stats().Duplicates, "duplicate")
	// Output: 2 lines to pack, 1 duplicate
}
