package fulfilment_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/fulfilment"
	"orderflow/services/order/internal/ordertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

// world is a manager of the orders in an event store, and a clock that stands
// still unless a test moves it. The manager does not run yet.
type world struct {
	db     sqldb.DB
	server *esdbservertest.Server
	store  *es.Store
	orders *es.Repository[domain.Order, domain.Event]
	log    *ordertest.Lines
	config fulfilment.Config
	clock  *clock
}

// each runs fn on both databases.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) { fn(t, newWorld(t, db)) })
}

func newWorld(t testing.TB, db sqldb.DB, options ...esdbservertest.Option) *world {
	t.Helper()
	on := ordertest.New(t, db, options...)
	w := &world{db: db, server: on.Server, store: on.Store, orders: on.Orders, log: on.Log, clock: &clock{now: noon}}
	w.config = fulfilment.Config{
		DB: db, Store: w.store, Orders: w.orders, Settings: settings, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
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

// run keeps a manager going.
func (w *world) run(t testing.TB) (stop func()) {
	t.Helper()
	return ordertest.Run(t, fulfilment.New(w.config).Run)
}

// do carries out a command on an order.
func (w *world) do(t testing.TB, id uuid.UUID, decide func(domain.Order) ([]domain.Event, error)) {
	t.Helper()
	ordertest.Do(t, w.orders, id, decide)
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
	ordertest.Scribble(t, w.server, id, "order-packed", `{"packedAt":"2026-03-14T12:30:00Z"}`, `{"version":99}`)
}
