package fulfilment_test

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
	"go.uber.org/goleak"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/fulfilment"
	"orderflow/services/order/internal/stored"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

// world is a manager with an event store of its own and a clock that stands
// still unless a test moves it. The manager does not run yet.
type world struct {
	db     sqldb.DB
	server *esdbservertest.Server
	store  *es.Store
	orders *es.Repository[domain.Order, domain.Event]
	config fulfilment.Config
	clock  *clock
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
	w := &world{
		db: db, server: server, store: store, clock: &clock{now: noon}, log: &lines{},
		orders: es.NewRepository(store, "order", stored.Codec{}, domain.Apply),
	}
	w.config = fulfilment.Config{
		DB: db, Store: store, Orders: w.orders, Settings: settings, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	return w
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advance moves the clock to so long after noon.
func (c *clock) advance(to time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = noon.Add(to)
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

// run keeps a manager going, as the kit does it: from the start again after an
// error. stop ends it and is called anyway.
func (w *world) run(t testing.TB) (stop func()) {
	t.Helper()
	manager := fulfilment.New(w.config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := manager.Run(ctx); err != nil && !errors.Is(err, es.ErrUnavailable) && !sqldb.IsUnavailable(err) {
				t.Errorf("the manager stopped: %v", err)
			}
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// do carries out a command on an order.
func (w *world) do(t testing.TB, id uuid.UUID, decide func(domain.Order) ([]domain.Event, error)) {
	t.Helper()
	if _, _, err := w.orders.Update(context.Background(), id, cause.FromContext(context.Background()), es.Precondition{}, decide); err != nil {
		t.Fatal(err)
	}
}

// place places an order at noon.
func (w *world) place(t testing.TB) uuid.UUID {
	t.Helper()
	id := cause.NewID()
	lines := []domain.Line{{SKU: "mug", Name: "Mug", Quantity: 2, UnitPrice: domain.Money{Amount: 125, Currency: "EUR"}}}
	w.do(t, id, func(o domain.Order) ([]domain.Event, error) {
		return o.Place("01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f", lines, noon)
	})
	return id
}

func pack(o domain.Order) ([]domain.Event, error)     { return o.Pack(noon.Add(30 * time.Minute)) }
func dispatch(o domain.Order) ([]domain.Event, error) { return o.Dispatch(noon.Add(40 * time.Minute)) }

func reject(o domain.Order) ([]domain.Event, error) {
	return o.Reject("no mugs", noon.Add(20*time.Minute))
}

func cancel(o domain.Order) ([]domain.Event, error) {
	return o.Cancel("changed my mind", noon.Add(35*time.Minute))
}

// is waits until the process of an order is in a state.
func (w *world) is(t testing.TB, id uuid.UUID, state fulfilment.State) {
	t.Helper()
	sqldbtest.Eventually(t, fmt.Sprintf("the process of %s is %s", id, state), func() bool {
		p, _, err := fulfilment.New(w.config).Load(context.Background(), id)
		if err != nil && !errors.Is(err, es.ErrNotFound) {
			t.Fatal(err)
		}
		return p.State == state
	})
}

// waits waits until the table has the deadline of an order, or "" for none.
func (w *world) waits(t testing.TB, id uuid.UUID, deadline string) {
	t.Helper()
	got := ""
	sqldbtest.Eventually(t, fmt.Sprintf("%s waits for %q", id, deadline), func() bool {
		var kind string
		var at int64
		err := w.db.QueryRow(context.Background(), `SELECT kind, due_at FROM fulfilment_deadline WHERE order_id = $1`, id.String()).Scan(&kind, &at)
		switch {
		case errors.Is(err, sqldb.ErrNoRows):
			got = ""
		case err != nil:
			t.Fatal(err)
		default:
			got = kind + " " + sqldb.Time(at).Sub(noon).String()
		}
		return got == deadline
	})
}

// steps are the types of the events in a stream.
func (w *world) steps(t testing.TB, category string, id uuid.UUID) []string {
	t.Helper()
	events, err := w.store.ReadStream(context.Background(), es.StreamName(category, id), 0)
	if err != nil && !errors.Is(err, es.ErrNotFound) {
		t.Fatal(err)
	}
	var types []string
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

// scribble appends an event that nobody understands to the stream of an order.
func (w *world) scribble(t testing.TB, id uuid.UUID) {
	t.Helper()
	w.server.Append(t, es.StreamName("order", id), esdb.EventData{
		EventID: uuid.New(), EventType: "order-packed", ContentType: esdb.ContentTypeJson,
		Data: []byte(`{"packedAt":"2026-03-14T12:30:00Z"}`), Metadata: []byte(`{"version":99}`),
	})
}
