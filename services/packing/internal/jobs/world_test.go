package jobs

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a store on a database of its own, without a bus: what is announced
// stays in the outbox.
type world struct {
	*Store
	// inboxes know nothing of each other, so an event given to both reaches the
	// handlers twice.
	inboxes [2]*inbox.Inbox
}

func newWorld(t *testing.T, db sqldb.DB) *world {
	t.Helper()
	own, err := fs.Sub(Migrations(), "migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		inbox.Migrate(t.Context(), db), outbox.Migrate(t.Context(), db), sqldb.Migrate(t.Context(), db, "packing", own),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	w := &world{Store: New(db, outbox.New(db, nil, log, outbox.Options{}))}
	for i, name := range []string{"packing", "twin"} {
		w.inboxes[i] = inbox.New(db, name, log, inbox.Options{})
		w.Listen(w.inboxes[i])
	}
	return w
}

// each runs fn on both databases.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) { fn(t, newWorld(t, db)) })
}

// deliver hands events to an inbox as the bus does: in one batch.
func deliver(ctx context.Context, in *inbox.Inbox, events ...eventbus.Event) error {
	batch := make([]eventbus.Delivery, len(events))
	for i, e := range events {
		batch[i] = eventbus.Delivery{Event: e}
	}
	return in.Handle(ctx, batch)
}

func (w *world) deliver(t testing.TB, events ...eventbus.Event) {
	t.Helper()
	if err := deliver(t.Context(), w.inboxes[0], events...); err != nil {
		t.Fatal(err)
	}
}

// forgetsWhatItHandled does what the retention of an inbox does in a month: what
// comes again meets the handlers again.
func (w *world) forgetsWhatItHandled(t testing.TB) {
	t.Helper()
	sqldbtest.Exec(t, w.db, `DELETE FROM inbox`)
}

// announced returns what is in the outbox about an order.
func (w *world) announced(t testing.TB, orderID string) []eventbus.Event {
	t.Helper()
	rows, err := w.out.Trace(t.Context(), orderID)
	if err != nil {
		t.Fatal(err)
	}
	var events []eventbus.Event
	for _, row := range rows {
		events = append(events, row.Event)
	}
	return events
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func placedEvent(orderID string) eventbus.Event {
	return eventbus.Event{
		ID: cause.NewID().String(), Source: "/orderflow/order", Type: orderPlaced, Subject: orderID, Time: noon,
		CorrelationID: "request", Sequence: 0,
		Data: json.RawMessage(`{"customerId":"ada","lines":[{"sku":"mug","name":"Mug","quantity":2},{"sku":"pen","name":"Pen","quantity":1}]}`),
	}
}

func cancelledEvent(orderID string) eventbus.Event {
	return eventbus.Event{
		ID: cause.NewID().String(), Source: "/orderflow/order", Type: orderCancelled, Subject: orderID, Time: noon.Add(time.Minute),
		CorrelationID: "request", Sequence: 3, Data: json.RawMessage(`{"reason":"changed my mind"}`),
	}
}

func dispatchedEvent(orderID string) eventbus.Event {
	return eventbus.Event{
		ID: cause.NewID().String(), Source: "/orderflow/dispatch", Type: dispatched, Subject: orderID, Time: noon.Add(2 * time.Minute),
		CorrelationID: "request", Sequence: 1, Data: json.RawMessage(`{"carrier":"DHL"}`),
	}
}

func returnCommand(orderID string) eventbus.Event {
	return eventbus.Event{
		ID: cause.NewID().String(), Source: "/orderflow/fulfilment", Type: returnToStock, Subject: orderID, Time: noon.Add(3 * time.Minute),
		CorrelationID: "request", Sequence: 2, Data: json.RawMessage(`{"reason":"changed my mind"}`),
	}
}

// pending is a job as it is when its order has arrived.
func pending() Job {
	return unseen("order").Place("ada", []Line{{SKU: "mug", Name: "Mug", Quantity: 2}}, noon, "request", 0)
}
