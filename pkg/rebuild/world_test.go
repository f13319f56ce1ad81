package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tables are those of a service that keeps a word about each subject, adds up
// numbers, and writes letters.
func tables() fstest.MapFS {
	text := `-- +goose Up
CREATE TABLE word (subject TEXT PRIMARY KEY, word TEXT NOT NULL, n BIGINT NOT NULL, written_at BIGINT NOT NULL,
	twice BIGINT GENERATED ALWAYS AS (n * 2) STORED, told_by TEXT);
CREATE INDEX word_word ON word (word);
CREATE TABLE tally (id BIGINT %s PRIMARY KEY, n BIGINT NOT NULL);
CREATE TABLE letter (subject TEXT PRIMARY KEY);`
	return fstest.MapFS{
		"postgres/00001_words.sql": {Data: fmt.Appendf(nil, text, "GENERATED ALWAYS AS IDENTITY")},
		"sqlite/00001_words.sql":   {Data: fmt.Appendf(nil, text, "")},
	}
}

func migrate(ctx context.Context, db sqldb.DB) error {
	return errors.Join(inbox.Migrate(ctx, db), sqldb.MigrateLease(ctx, db), sqldb.Migrate(ctx, db, "words", tables()))
}

type said struct {
	Word string `json:"word"`
	N    int64  `json:"n"`
}

// listen is the service's handler: the highest number wins.
func listen(in *inbox.Inbox) {
	inbox.On(in, "test.events.said.v1", func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data said) error {
		if data.Word == "bad" {
			return inbox.Park(errors.New("a bad word"))
		}
		tx.Queue(`INSERT INTO word (subject, word, n, written_at) VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO UPDATE
			SET word = excluded.word, n = excluded.n, written_at = excluded.written_at WHERE word.n < excluded.n`,
			e.Subject, data.Word, data.N, sqldb.Micros(time.Now()))
		tx.Queue(`INSERT INTO letter (subject) VALUES ($1) ON CONFLICT DO NOTHING`, e.Subject)
		return nil
	})
}

// world is the service, with everything that was said to it.
type world struct {
	t        *testing.T
	db       sqldb.DB
	url      string
	bus      *sqlitebus.Bus
	in       *inbox.Inbox
	rebuild  *rebuild.Rebuild
	model    rebuild.Model
	beside   eventbus.Bus // what the feed of the new model is given; bus, unless a test breaks it
	patience time.Duration

	mu      sync.Mutex
	history []eventbus.Event
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, newWorld(t, sqldbtest.SQLiteURL(t))) })
	t.Run("postgres", func(t *testing.T) { fn(t, newWorld(t, sqldbtest.PostgresURL(t))) })
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: filepath.Join(t.TempDir(), "bus.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(migrate(t.Context(), db), rebuild.Migrate(t.Context(), db)); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, url: url, bus: bus, beside: bus, patience: 500 * time.Millisecond}
	w.in = inbox.New(db, "words", slog.New(slog.DiscardHandler), inbox.Options{})
	listen(w.in)
	w.model = rebuild.Model{
		Name: "words", Migrate: migrate,
		Tables: []rebuild.Table{{Name: "word", Key: "subject", Except: []string{"written_at"}, Personal: []string{"told_by"}}, {Name: "tally"}},
		Feed: func(db sqldb.DB) rebuild.Feed {
			in := inbox.New(db, "words", slog.New(slog.DiscardHandler), inbox.Options{})
			listen(in)
			return rebuild.FromBus(rebuild.BusFeed{Bus: w.beside, Consumer: "words", Inbox: in, DB: db})
		},
	}
	w.rebuild = w.another()
	return w
}

func (w *world) another() *rebuild.Rebuild {
	return rebuild.New(w.db, w.url, w.model, slog.New(slog.DiscardHandler),
		rebuild.Options{Poll: 5 * time.Millisecond, Patience: w.patience, LeaseTTL: 2 * time.Second})
}

// live runs the live consumer, until it is stopped.
func (w *world) live() (stop func()) {
	w.t.Helper()
	s, err := w.bus.Subscribe(w.t.Context(), eventbus.Queue{Name: "words", Patterns: w.in.Patterns()}, w.in.Handle)
	if err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if err := s.Close(w.t.Context()); err != nil {
			w.t.Error(err)
		}
	}
}

// run runs the rebuild as the kit does it.
func (w *world) run(r *rebuild.Rebuild) (stop func()) {
	w.t.Helper()
	return w.runUntil(r, func(err error) { w.t.Errorf("the rebuild ended with %v", err) })
}

// runInTrouble is run where errors are what the test is about.
func (w *world) runInTrouble(r *rebuild.Rebuild) (stop func()) {
	w.t.Helper()
	return w.runUntil(r, func(error) {})
}

func (w *world) runUntil(r *rebuild.Rebuild, failed func(error)) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := r.Run(ctx); err != nil && !sqldb.IsUnavailable(err) {
				failed(err)
			}
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(stop)
	return stop
}

// event is one that the whole system may say.
func event(subject, word string, n int) eventbus.Event {
	return eventOf(fmt.Sprintf("%s-%s-%d", subject, word, n), "test.events.said.v1", subject, n, fmt.Sprintf(`{"word":%q,"n":%d}`, word, n))
}

func eventOf(id, typ, subject string, n int, data string) eventbus.Event {
	return eventbus.Event{
		ID: id, Source: "/orderflow/test", Type: typ, Subject: subject, Sequence: int64(n),
		Time: time.Now().UTC(), Data: []byte(data), CorrelationID: "c", CausationID: "c",
	}
}

// say says something to the whole system, and remembers it.
func (w *world) say(subject, word string, n int) {
	w.t.Helper()
	w.sayAll([]eventbus.Event{event(subject, word, n)})
}

// tell has an event of another type happen.
func (w *world) tell(id, typ, subject, data string) {
	w.t.Helper()
	w.sayAll([]eventbus.Event{eventOf(id, typ, subject, 1, data)})
}

func (w *world) sayAll(events []eventbus.Event) {
	w.t.Helper()
	if err := w.bus.Publish(context.Background(), events...); err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, events...)
}

// replay tells the new model everything that was said.
func (w *world) replay() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.bus.Send(w.t.Context(), "words"+rebuild.QueueSuffix, w.history...); err != nil {
		w.t.Fatal(err)
	}
}

// has waits until the live model has so many words.
func (w *world) has(words int) {
	w.t.Helper()
	sqldbtest.Eventually(w.t, fmt.Sprintf("the live model has %d words", words), func() bool {
		return sqldbtest.Count(w.t, w.db, `SELECT count(*) FROM word`) == words
	})
}

func (w *world) begin() {
	w.t.Helper()
	if _, err := w.rebuild.Begin(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.becomes(rebuild.Filling)
}

func (w *world) finish(ask rebuild.Ask) {
	w.t.Helper()
	if _, err := w.rebuild.Finish(w.t.Context(), ask); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) becomes(status rebuild.Status) (state rebuild.State) {
	w.t.Helper()
	w.until("the rebuild is "+string(status), time.Minute, func() bool {
		state = w.state()
		return state.Status == status
	})
	return state
}

// until is sqldbtest.Eventually for what is much work.
func (w *world) until(what string, patience time.Duration, done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !done() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			w.t.Fatalf("never: %s; the rebuild is %+v", what, w.state())
		}
	}
}

func (w *world) state() rebuild.State {
	w.t.Helper()
	state, err := w.rebuild.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// gone fails unless nothing is left of the place beside the live model.
func (w *world) gone() {
	w.t.Helper()
	if _, err := w.bus.Depth(w.t.Context(), "words"+rebuild.QueueSuffix); !errors.Is(err, eventbus.ErrNoQueue) {
		w.t.Errorf("the queue is still there: %v", err)
	}
	if w.db.Dialect() == sqldb.Postgres {
		if n := sqldbtest.Count(w.t, w.db, `SELECT count(*) FROM pg_namespace WHERE nspname = current_schema() || '_rebuild'`); n != 0 {
			w.t.Error("the schema is still there")
		}
	} else if left, _ := filepath.Glob(w.url[len("sqlite://"):] + ".rebuild*"); len(left) > 0 {
		w.t.Errorf("left: %v", left)
	}
}
