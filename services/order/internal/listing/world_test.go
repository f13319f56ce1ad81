package listing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
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
	"orderflow/services/order/internal/stored"
)

const (
	ann = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"
	bob = "01928f3e-6c11-7a44-8b0d-1f2e3d4c5b6a"
)

var at = time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)

// world is a list over an event store of its own. The list does not run yet.
type world struct {
	db     sqldb.DB
	server *esdbservertest.Server
	store  *es.Store
	orders *es.Repository[domain.Order, domain.Event]
	list   *listing.Listing
	log    *lines
}

// each runs fn on both databases.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) { fn(t, newWorld(t, db)) })
}

func newWorld(t testing.TB, db sqldb.DB, options ...esdbservertest.Option) *world {
	t.Helper()
	if err := errors.Join(
		sqldb.MigrateLease(t.Context(), db),
		sqldb.Migrate(t.Context(), db, "order", os.DirFS("../../migrations")),
	); err != nil {
		t.Fatal(err)
	}
	server := esdbservertest.New(t, options...)
	store, err := es.Open(server.ConnectionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	log := &lines{}
	return &world{
		db: db, server: server, store: store, log: log,
		orders: es.NewRepository(store, "order", stored.Codec{}, domain.Apply),
		list:   listing.New(db, store, slog.New(slog.NewTextHandler(log, nil))),
	}
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// run keeps a list up to date, as the kit does it: from the start again after
// an error. stop ends it and is called anyway.
func run(t *testing.T, list *listing.Listing) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := list.Run(ctx); err != nil && !errors.Is(err, es.ErrUnavailable) && !sqldb.IsUnavailable(err) {
				t.Errorf("the list stopped: %v", err)
			}
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func lineOf(sku string) []domain.Line {
	return []domain.Line{{SKU: sku, Name: "The " + sku, Quantity: 2, UnitPrice: domain.Money{Amount: 125, Currency: "EUR"}}}
}

// do carries out a command on an order.
func (w *world) do(t rapid.TB, id uuid.UUID, decide func(domain.Order) ([]domain.Event, error)) {
	t.Helper()
	if _, _, err := w.orders.Update(context.Background(), id, cause.FromContext(context.Background()), es.Precondition{}, decide); err != nil {
		t.Fatal(err)
	}
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
	w.server.Append(t, es.StreamName("order", id), esdb.EventData{
		EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(data), Metadata: []byte(metadata),
	})
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
