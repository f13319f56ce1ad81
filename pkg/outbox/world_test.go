package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// fakeBus keeps what is published, in order, and does what a test tells it to.
type fakeBus struct {
	mu     sync.Mutex
	events []eventbus.Event
	calls  int
	before func(ctx context.Context, events []eventbus.Event) error
}

func (b *fakeBus) Publish(ctx context.Context, events ...eventbus.Event) error {
	b.mu.Lock()
	b.calls++
	before := b.before
	b.mu.Unlock()
	if before != nil {
		if err := before(ctx, events); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, events...)
	return nil
}

func (b *fakeBus) set(before func(context.Context, []eventbus.Event) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before = before
}

func (b *fakeBus) ids() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]string, len(b.events))
	for i, e := range b.events {
		ids[i] = e.ID
	}
	return ids
}

// refuse makes a bus that takes no event with one of the ids.
func refuse(why error, ids ...string) func(context.Context, []eventbus.Event) error {
	return func(_ context.Context, events []eventbus.Event) error {
		for _, e := range events {
			if slices.Contains(ids, e.ID) {
				return fmt.Errorf("%w: %s", why, e.ID)
			}
		}
		return nil
	}
}

var errBusDown = errors.New("bus is down")

func down(context.Context, []eventbus.Event) error { return errBusDown }

func event(id, subject string) eventbus.Event {
	return eventbus.Event{
		ID: id, Source: "/orderflow/packing", Type: "packing.events.packed.v1", Subject: subject,
		Time: time.Date(2026, 5, 6, 7, 8, 9, 123_000, time.UTC), Data: json.RawMessage(`{"orderId":"` + subject + `"}`),
	}
}

// quick makes loops turn at the pace of a test.
var quick = outbox.Options{Poll: 10 * time.Millisecond, MaxPause: 20 * time.Millisecond, LeaseTTL: 2 * time.Second}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// world is one database, and one way to read its outbox.
type world struct {
	name  string
	db    sqldb.DB
	url   string
	quick outbox.Options
}

// each runs a promise over all ways to read an outbox.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, &world{name: "sqlite", db: sqldbtest.SQLite(t), quick: quick}) })
	eachPostgres(t, test)
}

func eachPostgres(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) { test(t, newPostgres(t, outbox.Polling)) })
	t.Run("capture", func(t *testing.T) { test(t, newPostgres(t, outbox.Capture)) })
}

func newPostgres(t testing.TB, reader outbox.Reader) *world {
	t.Helper()
	if server := os.Getenv(captureServer); server != "" && reader == outbox.Capture {
		t.Setenv("TEST_DATABASE_URL", server)
	}
	url := sqldbtest.PostgresURL(t)
	w := &world{name: string(reader), url: url, db: connect(t, url), quick: quick}
	w.quick.Reader = reader
	if reader == outbox.Capture {
		needLogical(t, w.db)
		t.Cleanup(func() {
			if err := outbox.New(w.db, nil, discard(), w.quick).DropSlot(context.Background()); err != nil {
				t.Errorf("drop the slot: %v", err)
			}
		})
	}
	return w
}

func connect(t testing.TB, url string) sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// needLogical skips a test on a server that was not set up for it, or fails it
// when REQUIRE_REAL=1.
func needLogical(t testing.TB, db sqldb.DB) {
	t.Helper()
	var level string
	if err := db.QueryRow(t.Context(), `SHOW wal_level`).Scan(&level); err != nil {
		t.Fatal(err)
	}
	switch {
	case level == "logical":
	case os.Getenv("REQUIRE_REAL") == "1":
		t.Fatalf("change data capture needs wal_level = logical, this server has %s", level)
	default:
		t.Skipf("change data capture needs wal_level = logical, this server has %s", level)
	}
}

// start runs an outbox and waits until it reads in the way that is tested: what
// is added from then on comes that way, and what was added before is polled.
func (w *world) start(t testing.TB, o *outbox.Outbox) (stop func()) {
	t.Helper()
	stop = start(t, o)
	if w.quick.Reader == outbox.Capture {
		// The slot waits for every transaction that runs in the server.
		eventually(t, "the server streams", func() bool { return o.Stats().Streaming })
	}
	return stop
}

// eventually is sqldbtest.Eventually with a minute's patience.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

func newOutbox(t testing.TB, db sqldb.DB, bus eventbus.Publisher, options outbox.Options) *outbox.Outbox {
	t.Helper()
	if err := outbox.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return outbox.New(db, bus, discard(), options)
}

// start runs the outbox; stop ends it as a shutdown does, and is called anyway.
func start(t testing.TB, o *outbox.Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func add(t testing.TB, db sqldb.DB, o *outbox.Outbox, events ...eventbus.Event) {
	t.Helper()
	err := db.Update(t.Context(), func(tx sqldb.Tx) error { return o.Add(t.Context(), tx, cause.Cause{}, events...) })
	if err != nil {
		t.Fatal(err)
	}
}

func pending(t testing.TB, o *outbox.Outbox) int {
	t.Helper()
	n, err := o.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func waitSent(t testing.TB, o *outbox.Outbox) {
	t.Helper()
	eventually(t, "everything was sent", func() bool { return pending(t, o) == 0 })
}

// waitSentAgain is waitSent while connections may be broken.
func waitSentAgain(t testing.TB, o *outbox.Outbox) {
	t.Helper()
	eventually(t, "everything was sent", func() bool {
		n, err := o.Pending(t.Context())
		return err == nil && n == 0
	})
}

func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return list
}
