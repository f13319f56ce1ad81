package shipments

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
		inbox.Migrate(t.Context(), db), outbox.Migrate(t.Context(), db), sqldb.Migrate(t.Context(), db, "dispatch", own),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	w := &world{Store: New(db, outbox.New(db, nil, log, outbox.Options{}))}
	for i, name := range []string{"dispatch", "twin"} {
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

// event is what another service says; moment is also its sequence.
func event(source, typ, subject string, moment int64, data string) eventbus.Event {
	return eventbus.Event{
		ID: cause.NewID().String(), Source: "/orderflow/" + source, Type: typ, Subject: subject,
		Time: noon.Add(time.Duration(moment) * time.Minute), CorrelationID: "request", Sequence: moment, Data: json.RawMessage(data),
	}
}

func packedEvent(orderID, customerID string) eventbus.Event {
	return event("packing", orderPacked, orderID, 1, `{"customerId":"`+customerID+`"}`)
}

func cancelledEvent(orderID string) eventbus.Event {
	return event("order", orderCancelled, orderID, 3, `{"reason":"changed my mind"}`)
}

func createdEvent(customerID string) eventbus.Event {
	return event("customer", customerCreated, customerID, 0,
		`{"name":"Ada","address":{"line1":"1 First Street","line2":"Attic","city":"London","postcode":"W1","country":"GB"}}`)
}

func renamedEvent(customerID, name string, sequence int64) eventbus.Event {
	return event("customer", customerContactChanged, customerID, sequence, `{"name":"`+name+`"}`)
}

func movedEvent(customerID, line1 string, sequence int64) eventbus.Event {
	return event("customer", customerAddressChanged, customerID, sequence,
		`{"address":{"line1":"`+line1+`","city":"London","postcode":"W1","country":"GB"}}`)
}

func forgottenEvent(customerID string) eventbus.Event {
	return event("customer", customerForgotten, customerID, 9, `{"customerId":"`+customerID+`"}`)
}
