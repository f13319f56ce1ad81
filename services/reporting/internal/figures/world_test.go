package figures

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

var noon = time.Date(2025, 5, 1, 12, 0, 0, 0, time.UTC)

// world is a store behind its real inbox.
type world struct {
	db    sqldb.DB
	store *Store
	in    *inbox.Inbox
}

func newWorld(t testing.TB, db sqldb.DB) *world {
	t.Helper()
	files, err := fs.Sub(Migrations(), "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := inbox.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.Migrate(t.Context(), db, "reporting", files); err != nil {
		t.Fatal(err)
	}
	w := &world{db: db, store: New(db), in: inbox.New(db, "reporting", slog.New(slog.DiscardHandler), inbox.Options{})}
	w.store.Listen(w.in)
	return w
}

// deliver hands events to the inbox as one batch.
func (w *world) deliver(t testing.TB, events ...eventbus.Event) {
	t.Helper()
	batch := make([]eventbus.Delivery, len(events))
	for i, e := range events {
		batch[i].Event = e
	}
	if err := w.in.Handle(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
}

func (w *world) summary(t testing.TB) Summary {
	t.Helper()
	summary, err := w.store.Summary(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

func (w *world) addUp(t testing.TB) {
	t.Helper()
	if err := w.store.addUp(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func event(typ, subject string, sequence int64, at time.Time, data map[string]any) eventbus.Event {
	data["occurredAt"] = at
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // a mistake in the test
	}
	return eventbus.Event{
		ID: fmt.Sprintf("%s/%s/%d", typ, subject, sequence), Source: "/orderflow/test", Type: typ, Subject: subject,
		Sequence: sequence, Time: at, CorrelationID: "correlation-" + subject, Data: text,
	}
}

func orderID(i int) string { return fmt.Sprintf("01928f40-0000-7000-8000-%012d", i) }

func placedAt(i int, at time.Time, amount int64, currency string) eventbus.Event {
	return event(orderPlaced, orderID(i), 0, at, map[string]any{"orderId": orderID(i), "currency": currency, "total": amount})
}

// placedV1At is the same fact in the version before.
func placedV1At(i int, at time.Time, amount int64, currency string) eventbus.Event {
	return event(orderPlacedV1, orderID(i), 0, at, map[string]any{"orderId": orderID(i), "total": Money{amount, currency}})
}

func packedAt(i int, at time.Time) eventbus.Event {
	return event(orderPacked, orderID(i), 1, at, map[string]any{"orderId": orderID(i)})
}

func dispatchedAt(i int, at time.Time) eventbus.Event {
	return event(orderDispatched, orderID(i), 1, at, map[string]any{"orderId": orderID(i)})
}

func cancelledAt(i int, at time.Time) eventbus.Event {
	return event(orderCancelled, orderID(i), 3, at, map[string]any{"orderId": orderID(i)})
}

func delayedAt(i int, stage string, at time.Time) eventbus.Event {
	sequence := int64(1)
	if stage == "dispatch" {
		sequence = 3
	}
	return event(orderDelayed, orderID(i), sequence, at, map[string]any{"orderId": orderID(i), "stage": stage})
}

func returnedAt(i int, at time.Time) eventbus.Event {
	return event(orderReturned, orderID(i), 2, at, map[string]any{"orderId": orderID(i)})
}

// lines reads a query of one text column.
func (w *world) lines(t testing.TB, query string) []string {
	t.Helper()
	rows, err := w.db.Query(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := sqldb.Collect(rows, func(row sqldb.Row) (line string, err error) { return line, row.Scan(&line) })
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
