package outbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
)

// printBus stands for a bus.
type printBus struct{ published chan struct{} }

func (b printBus) Publish(_ context.Context, events ...eventbus.Event) error {
	for _, e := range events {
		fmt.Println(e.Type, e.Subject, string(e.Data))
		b.published <- struct{}{}
	}
	return nil
}

// A command changes a row and says so, both or neither.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	folder, err := os.MkdirTemp("", "outbox")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	db, err := sqldb.Open(ctx, "sqlite://"+filepath.Join(folder, "catalog.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := outbox.Migrate(ctx, db); err != nil {
		panic(err)
	}
	bus := printBus{published: make(chan struct{}, 1)}
	out := outbox.New(db, bus, slog.New(slog.DiscardHandler), outbox.Options{})
	running := make(chan struct{})
	go func() { defer close(running); _ = out.Run(ctx) }()

	command := cause.FromContext(ctx)
	err = db.Update(ctx, func(tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `CREATE TABLE product (sku TEXT PRIMARY KEY, version BIGINT NOT NULL)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO product (sku, version) VALUES ($1, 0)`, "mug"); err != nil {
			return err
		}
		return out.Add(ctx, tx, command, eventbus.Event{
			ID:      command.EventID("mug", 0).String(),
			Source:  "/orderflow/catalog",
			Type:    "catalog.events.product_listed.v1",
			Subject: "mug",
			Time:    time.Now().UTC(),
			Data:    json.RawMessage(`{"sku":"mug"}`),
		})
	})
	if err != nil {
		panic(err)
	}
	<-bus.published
	cancel()
	<-running
	// Output: catalog.events.product_listed.v1 mug {"sku":"mug"}
}

// With change data capture PostgreSQL sends what commits, in the order of the
// commits. The rest is the same; the table need not be told apart.
func Example_capture() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db, err := sqldb.Open(ctx, "postgres://catalog:secret@127.0.0.1:5432/catalog")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := outbox.Migrate(ctx, db); err != nil {
		panic(err)
	}
	bus := printBus{published: make(chan struct{}, 1)}
	out := outbox.New(db, bus, slog.Default(), outbox.Options{
		Reader:   outbox.Capture,
		SlotWarn: 256 << 20, // not ready when the server keeps more than this for us
		SlotMax:  1 << 30,   // and rather poll than let it keep more than that
	})
	running := make(chan struct{})
	go func() { defer close(running); _ = out.Run(ctx) }()
	// ... commands call out.Add in their transactions ...
	stop()
	<-running
	// A service that goes away for good leaves no slot behind.
	if err := out.DropSlot(context.Background()); err != nil {
		panic(err)
	}
}
