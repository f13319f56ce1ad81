package listing_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/listing"
	"orderflow/services/order/internal/ordertest"
)

const (
	ann = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"
	bob = "01928f3e-6c11-7a44-8b0d-1f2e3d4c5b6a"
)

var at = time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)

// world is a list over the orders in an event store. The list does not run yet.
type world struct {
	db     sqldb.DB
	server *esdbservertest.Server
	store  *es.Store
	orders *es.Repository[domain.Order, domain.Event]
	log    *ordertest.Lines
	list   *listing.Listing
}

// each runs fn on both databases.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) { fn(t, newWorld(t, db)) })
}

func newWorld(t testing.TB, db sqldb.DB, options ...esdbservertest.Option) *world {
	t.Helper()
	on := ordertest.New(t, db, options...)
	return &world{
		db: db, server: on.Server, store: on.Store, orders: on.Orders, log: on.Log,
		list: listing.New(db, on.Store, slog.New(slog.NewTextHandler(on.Log, nil))),
	}
}

// run keeps a list up to date.
func run(t *testing.T, list *listing.Listing) (stop func()) {
	t.Helper()
	return ordertest.Run(t, list.Run)
}

func lineOf(sku string) []domain.Line {
	return []domain.Line{{SKU: sku, Name: "The " + sku, Quantity: 2, UnitPrice: domain.Money{Amount: 125, Currency: "EUR"}}}
}

// do carries out a command on an order.
func (w *world) do(t rapid.TB, id uuid.UUID, decide func(domain.Order) ([]domain.Event, error)) {
	t.Helper()
	ordertest.Do(t, w.orders, id, decide)
}

func (w *world) place(t rapid.TB, customer string, when time.Time) uuid.UUID {
	t.Helper()
	id := cause.NewID()
	w.do(t, id, func(o domain.Order) ([]domain.Event, error) { return o.Place(customer, lineOf("mug"), when) })
	return id
}

func pack(o domain.Order) ([]domain.Event, error)     { return o.Pack(at.Add(time.Minute)) }
func dispatch(o domain.Order) ([]domain.Event, error) { return o.Dispatch(at.Add(time.Hour)) }
func cancel(o domain.Order) ([]domain.Event, error) {
	return o.Cancel("changed my mind", at.Add(time.Second))
}

func reject(o domain.Order) ([]domain.Event, error) {
	return o.Reject("out of stock", at.Add(2*time.Second))
}

// scribble appends an event of any kind to the stream of an order.
func (w *world) scribble(t testing.TB, id uuid.UUID, typ, data, metadata string) {
	t.Helper()
	ordertest.Scribble(t, w.server, id, typ, data, metadata)
}

// strangers appends n events to a stream that is no order's.
func (w *world) strangers(t testing.TB, n int) {
	t.Helper()
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{EventID: uuid.New(), EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
	}
	w.server.Append(t, "stranger-"+uuid.NewString(), events...)
}

// listed waits until the list shows a version of an order, and returns it.
func (w *world) listed(t *testing.T, id uuid.UUID, version int64) listing.Listed {
	t.Helper()
	var row listing.Listed
	sqldbtest.Eventually(t, fmt.Sprintf("order %s listed with version %d", id, version), func() bool {
		var found bool
		var err error
		row, found, err = w.list.Row(t.Context(), id.String())
		if err != nil {
			t.Fatal(err)
		}
		return found && row.Version == version
	})
	return row
}

func (w *world) find(t rapid.TB, q listing.Query) []listing.Listed {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	found, err := w.list.Find(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
