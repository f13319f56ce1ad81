package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/faultproxy"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, faultproxy.Leaks()...) }

const (
	placed = "order.events.placed.v1" // has an On handler
	packed = "packing.events.packed.v1"
	moved  = "order.events.moved.v1"  // has a Do handler
	tagged = "order.events.tagged.v1" // has an OnBatch handler
)

// payload is what the test events carry.
type payload struct {
	N int `json:"n"`
}

var errHandler = errors.New("handler says no")

// world is one consumer on one database. Every handled event leaves a row in
// the table effect, so the rows are the order of the effects.
type world struct {
	db sqldb.DB
	in *inbox.Inbox

	mu    sync.Mutex
	fails map[string]func() error // by event id: what the handler does instead of succeeding
	calls map[string]int
}

// quick makes loops turn at the pace of a test.
var quick = inbox.Options{
	Poll: 5 * time.Millisecond, BaseDelay: 2 * time.Millisecond, MaxDelay: 4 * time.Millisecond, MaxAttempts: 3,
}

func newWorld(t *testing.T, db sqldb.DB, options inbox.Options) *world {
	t.Helper()
	if err := inbox.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	serial := "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
	if db.Dialect() == sqldb.SQLite {
		serial = "INTEGER PRIMARY KEY AUTOINCREMENT"
	}
	sqldbtest.Exec(t, db, `CREATE TABLE IF NOT EXISTS effect (seq `+serial+`, subject TEXT NOT NULL, id TEXT NOT NULL)`)
	return attach(db, options)
}

// attach makes another instance of the consumer on the same tables.
func attach(db sqldb.DB, options inbox.Options) *world {
	w := &world{db: db, fails: map[string]func() error{}, calls: map[string]int{}}
	w.in = inbox.New(db, "packing", slog.New(slog.DiscardHandler), options)
	inbox.On(w.in, placed, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ payload) error {
		return w.effect(ctx, tx, e)
	})
	w.in.OnAny("packing.events.#", w.effect)
	inbox.OnBatch(w.in, tagged, func(ctx context.Context, tx sqldb.Tx, batch []inbox.Item[payload]) error {
		for _, it := range batch {
			if err := w.effect(ctx, tx, it.Event); err != nil {
				return err
			}
		}
		return nil
	})
	inbox.Do(w.in, moved, func(ctx context.Context, e eventbus.Event, _ payload) error {
		return w.db.Update(ctx, func(tx sqldb.Tx) error {
			// What a stream does with derived ids: the second append is none.
			var there int
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM effect WHERE id = $1`, e.ID).Scan(&there); err != nil {
				return err
			}
			if there > 0 {
				return w.fail(e)
			}
			return w.effect(ctx, tx, e)
		})
	})
	return w
}

// effect writes first and fails then, so that a rollback has something to undo.
func (w *world) effect(ctx context.Context, tx sqldb.Tx, e eventbus.Event) error {
	if _, err := tx.Exec(ctx, `INSERT INTO effect (subject, id) VALUES ($1, $2)`, e.Subject, e.ID); err != nil {
		return err
	}
	return w.fail(e)
}

func (w *world) fail(e eventbus.Event) error {
	w.mu.Lock()
	w.calls[e.ID]++
	fail := w.fails[e.ID]
	w.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail()
}

// when makes the handler of the event do this instead of succeeding; nil heals it.
func (w *world) when(id string, do func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails[id] = do
}

func (w *world) called(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[id]
}

func always(err error) func() error { return func() error { return err } }

// times fails n times and succeeds then.
func times(n int, err error) func() error {
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		if n == 0 {
			return nil
		}
		n--
		return err
	}
}

func event(typ, subject, id string) eventbus.Event {
	return eventbus.Event{
		ID: id, Source: "/orderflow/test", Type: typ, Subject: subject, Sequence: 7,
		Time: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC), Data: json.RawMessage(`{"n":1}`), DataContentType: "application/json",
		CorrelationID: "corr", CausationID: "cause", TraceParent: "00-1-2-01",
	}
}

func batch(events ...eventbus.Event) []eventbus.Delivery {
	deliveries := make([]eventbus.Delivery, len(events))
	for i, e := range events {
		deliveries[i] = eventbus.Delivery{Event: e}
	}
	return deliveries
}

// series makes n events of one subject, with ids <subject>-000 and so on.
func series(typ, subject string, n int) []eventbus.Event {
	events := make([]eventbus.Event, n)
	for i := range events {
		events[i] = event(typ, subject, fmt.Sprintf("%s-%03d", subject, i))
	}
	return events
}

func (w *world) handle(t *testing.T, events ...eventbus.Event) {
	t.Helper()
	if err := w.in.Handle(t.Context(), batch(events...)); err != nil {
		t.Fatal(err)
	}
}

// run keeps trying held events; stop ends it as a shutdown does, and is called anyway.
func (w *world) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.in.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// effects lists the ids of the subject's effects, in order; of all when it is empty.
func (w *world) effects(t *testing.T, subject string) []string {
	t.Helper()
	rows, err := w.db.Query(t.Context(), `SELECT id FROM effect WHERE subject = $1 OR $1 = '' ORDER BY seq`, subject)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := sqldb.Collect(rows, func(r sqldb.Row) (id string, err error) { return id, r.Scan(&id) })
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func (w *world) backlog(t *testing.T) (held, parked int) {
	t.Helper()
	held, parked, err := w.in.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return held, parked
}

// waitNoneHeld waits until every event is handled but the parked ones.
func (w *world) waitNoneHeld(t *testing.T, parked int) {
	t.Helper()
	sqldbtest.Eventually(t, fmt.Sprintf("none were held and %d parked", parked), func() bool {
		h, p := w.backlog(t)
		return h == 0 && p == parked
	})
}

func (w *world) letter(t *testing.T, id string) inbox.DeadLetter {
	t.Helper()
	letter, err := w.in.DeadLetter(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return letter
}

func ids(events []eventbus.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.ID
	}
	return list
}
