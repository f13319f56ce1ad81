package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// priceList opens a consumer with an empty table of prices.
func priceList(ctx context.Context) (in *inbox.Inbox, db sqldb.DB, remove func()) {
	folder, err := os.MkdirTemp("", "inbox")
	if err != nil {
		panic(err)
	}
	if db, err = sqldb.Open(ctx, "sqlite://"+filepath.Join(folder, "prices.db")); err != nil {
		panic(err)
	}
	if err := inbox.Migrate(ctx, db); err != nil {
		panic(err)
	}
	err = db.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE price (sku TEXT PRIMARY KEY, amount BIGINT NOT NULL)`)
		return err
	})
	if err != nil {
		panic(err)
	}
	return inbox.New(db, "pricing", slog.New(slog.DiscardHandler), inbox.Options{}), db, func() {
		db.Close()
		_ = os.RemoveAll(folder)
	}
}

type newPrice struct {
	Amount int64 `json:"amount"`
}

func priceChanged(id, sku, data string) eventbus.Delivery {
	return eventbus.Delivery{Event: eventbus.Event{
		ID: id, Source: "/orderflow/catalog", Type: "catalog.events.price_changed.v1", Subject: sku, Data: json.RawMessage(data),
	}}
}

// What arrived together is written with one statement. Each call has a product
// at most once: the second price of the mug comes in a call of its own.
func ExampleOnBatch() {
	ctx := context.Background()
	in, db, remove := priceList(ctx)
	defer remove()
	inbox.OnBatch(in, "catalog.events.price_changed.v1", func(_ context.Context, tx sqldb.Tx, batch []inbox.Item[newPrice]) error {
		fmt.Println("a batch of", len(batch))
		var args []any
		for _, it := range batch {
			args = append(args, it.Event.Subject, it.Data.Amount)
		}
		sqldb.QueueRows(tx, `INSERT INTO price (sku, amount)`, 2, args, `ON CONFLICT (sku) DO UPDATE SET amount = excluded.amount`)
		return nil
	})
	err := in.Handle(ctx, []eventbus.Delivery{
		priceChanged("1", "mug", `{"amount":900}`), priceChanged("2", "pen", `{"amount":150}`), priceChanged("3", "mug", `{"amount":950}`),
	})
	if err != nil {
		panic(err)
	}
	var amount int64
	err = db.QueryRow(ctx, `SELECT amount FROM price WHERE sku = 'mug'`).Scan(&amount)
	fmt.Println("the mug is", amount, err)
	// Output:
	// a batch of 2
	// a batch of 1
	// the mug is 950 <nil>
}

// An event that nobody can ever handle is left to a person at once. The later
// ones of its subject flow.
func ExamplePark() {
	ctx := context.Background()
	in, _, remove := priceList(ctx)
	defer remove()
	inbox.On(in, "catalog.events.price_changed.v1", func(_ context.Context, tx sqldb.Tx, e eventbus.Event, price newPrice) error {
		if price.Amount < 0 {
			return inbox.Park(errors.New("a negative price"))
		}
		tx.Queue(`INSERT INTO price (sku, amount) VALUES ($1, $2) ON CONFLICT (sku) DO UPDATE SET amount = excluded.amount`,
			e.Subject, price.Amount)
		return nil
	})
	if err := in.Handle(ctx, []eventbus.Delivery{priceChanged("1", "mug", `{"amount":-1}`), priceChanged("2", "mug", `{"amount":900}`)}); err != nil {
		panic(err)
	}
	letters, _, err := in.DeadLetters(ctx, "", 10)
	if err != nil {
		panic(err)
	}
	for _, letter := range letters {
		fmt.Println(letter.Event.ID, letter.Status, "because of", letter.Reason)
	}
	fmt.Println(in.Stats().Handled, "handled")
	// Output:
	// 1 parked because of a negative price
	// 1 handled
}
