package story_test

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
	"orderflow/services/crm/internal/story"
)

const (
	zoe   = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"
	first = "01928f40-0a1b-7c2d-8e3f-405162738495"
	other = "01928f40-77aa-7b01-9c3d-aabbccddeeff"
)

var noon = time.Date(2025, 5, 1, 12, 0, 0, 0, time.UTC)

// world is a store behind its real inbox.
type world struct {
	db    sqldb.DB
	store *story.Store
	in    *inbox.Inbox
}

func newWorld(t *testing.T, db sqldb.DB, sending bool) *world {
	t.Helper()
	files, err := fs.Sub(story.Migrations(), "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := inbox.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.Migrate(t.Context(), db, "crm", files); err != nil {
		t.Fatal(err)
	}
	w := &world{db: db, store: story.New(db, sending), in: inbox.New(db, "crm", slog.New(slog.DiscardHandler), inbox.Options{})}
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

// event makes an event at so many minutes past noon.
func event(typ, subject string, sequence int64, minutes int, data map[string]any) eventbus.Event {
	at := noon.Add(time.Duration(minutes) * time.Minute)
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

func created(name, email string) eventbus.Event {
	return event("customer.events.created.v1", zoe, 0, 0, map[string]any{
		"customerId": zoe, "name": name, "email": email, "address": map[string]any{"line1": "Ring 1", "city": "Wien"},
	})
}

func contact(sequence int64, name, email string) eventbus.Event {
	return event("customer.events.contact_changed.v1", zoe, sequence, int(sequence), map[string]any{"customerId": zoe, "name": name, "email": email})
}

func moved(sequence int64, city string) eventbus.Event {
	return event("customer.events.address_changed.v1", zoe, sequence, int(sequence), map[string]any{
		"customerId": zoe, "address": map[string]any{"line1": "Ring 2", "city": city},
	})
}

func deactivated(sequence int64) eventbus.Event {
	return event("customer.events.deactivated.v1", zoe, sequence, int(sequence), map[string]any{"customerId": zoe, "reason": "asked to"})
}

func gone(sequence int64) eventbus.Event {
	return event("customer.events.forgotten.v1", zoe, sequence, int(sequence), map[string]any{"customerId": zoe})
}

func placed(orderID string, minutes int) eventbus.Event {
	return event("order.events.placed.v1", orderID, 0, minutes, map[string]any{
		"orderId": orderID, "customerId": zoe, "total": map[string]any{"amount": 900, "currency": "EUR"},
		"lines": []any{map[string]any{"sku": "tea", "name": "Green tea", "quantity": 2, "unitPrice": map[string]any{"amount": 450, "currency": "EUR"}}},
	})
}

func cancelled(orderID, by string, sequence int64) eventbus.Event {
	return event("order.events.cancelled.v1", orderID, sequence, 40, map[string]any{
		"orderId": orderID, "customerId": zoe, "reason": "a reason", "by": by,
	})
}

func delayed(orderID, stage string) eventbus.Event {
	minutes, sequence := 15, int64(1)
	if stage == "dispatch" {
		minutes, sequence = 50, 3
	}
	return event("order.events.delayed.v1", orderID, sequence, minutes, map[string]any{
		"orderId": orderID, "customerId": zoe, "stage": stage, "dueAt": noon,
	})
}

func packed(orderID string) eventbus.Event {
	return event("packing.events.packed.v1", orderID, 1, 20, map[string]any{"orderId": orderID, "customerId": zoe, "packedBy": "Pat"})
}

func dispatched(orderID string) eventbus.Event {
	return event("dispatch.events.dispatched.v1", orderID, 1, 60, map[string]any{
		"orderId": orderID, "customerId": zoe, "carrier": "DHL", "trackingNumber": "JD0146",
	})
}
