package snapshot_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/es/snapshot"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

// tally is the aggregate of these tests. What was added first and last shows
// when events are missing or come in another order.
type tally struct {
	Sum, Count, First, Last int
}

type added struct{ N int }

func apply(t tally, e added) tally {
	if t.Count == 0 {
		t.First = e.N
	}
	return tally{Sum: t.Sum + e.N, Count: t.Count + 1, First: t.First, Last: e.N}
}

func add(n int) func(tally) ([]added, error) {
	return func(tally) ([]added, error) { return []added{{n}}, nil }
}

type codec struct{}

func (codec) Encode(_ context.Context, _ uuid.UUID, e added) (es.Encoded, error) {
	data, err := json.Marshal(e)
	return es.Encoded{Type: "added", Version: 1, Data: data}, err
}

func (codec) Decode(_ context.Context, r es.Recorded) ([]added, error) {
	if r.Type != "added" {
		return nil, fmt.Errorf("unknown event type %q", r.Type)
	}
	var e added
	err := json.Unmarshal(r.Data, &e)
	return []added{e}, err
}

// states keeps tallies as JSON, in a version of one's choice.
type states struct{ version int }

var errUnfit = errors.New("unfit")

func (s states) Version() int { return s.version }

func (states) EncodeState(t tally) ([]byte, error) {
	if t.Last < 0 {
		return nil, errUnfit
	}
	return json.Marshal(t)
}

func (states) DecodeState(data []byte) (t tally, err error) {
	err = json.Unmarshal(data, &t)
	return t, err
}

type repository = es.Repository[tally, added]

// world is an event store, and a database with snapshots.
type world struct {
	db     sqldb.DB
	table  *snapshot.Table
	server *esdbservertest.Server
	store  *es.Store
	log    *lines
	// plain knows no snapshots.
	plain *repository
}

const every = 10

func newWorld(t testing.TB, db sqldb.DB) *world {
	t.Helper()
	if err := snapshot.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	server := esdbservertest.New(t)
	store, err := es.Open(server.ConnectionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return &world{
		db: db, table: snapshot.New(db), server: server, store: store, log: &lines{},
		plain: es.NewRepository(store, "tally", codec{}, apply),
	}
}

// each runs fn on both databases.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) { fn(t, newWorld(t, db)) })
}

// program is a repository as a process of a version of the program has it.
func (w *world) program(version, every int) *repository { return w.with(w.table, version, every) }

func (w *world) with(store es.SnapshotStore, version, every int) *repository {
	return w.plain.WithSnapshots(es.Snapshots[tally]{
		Store: store, Codec: states{version}, Every: every, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
}

// fill gives a stream n events, numbered from 1, past the repository.
func (w *world) fill(t testing.TB, id uuid.UUID, n int) {
	t.Helper()
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{
			EventID: uuid.New(), EventType: "added", ContentType: esdb.ContentTypeJson,
			Data: fmt.Appendf(nil, `{"N":%d}`, i+1), Metadata: []byte(`{"version":1}`),
		}
	}
	w.server.Append(t, stream(id), events...)
}

// taken waits until there is a snapshot of at least a revision.
func (w *world) taken(t testing.TB, id uuid.UUID, least es.Revision) es.Snapshot {
	t.Helper()
	var s es.Snapshot
	sqldbtest.Eventually(t, "a snapshot is taken", func() bool {
		var err error
		s, err = w.table.Load(t.Context(), stream(id))
		return err == nil && s.Revision >= least
	})
	return s
}

// agree loads an aggregate with a repository and without snapshots.
func (w *world) agree(t testing.TB, snapshots *repository, id uuid.UUID) (tally, es.Revision) {
	t.Helper()
	want, wantAt, err := w.plain.Load(within(t), id)
	if err != nil {
		t.Fatal(err)
	}
	got, at, err := snapshots.Load(within(t), id)
	if err != nil || got != want || at != wantAt {
		t.Errorf("with snapshots %+v at %d, without %+v at %d, %v", got, at, want, wantAt, err)
	}
	return got, at
}

func stream(id uuid.UUID) string { return es.StreamName("tally", id) }

func command() cause.Cause {
	id := cause.NewID()
	return cause.Cause{ID: id, CorrelationID: id.String(), Request: "POST /x", At: time.Now().UTC()}
}

// within bounds a call that must not hang.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count tells how many lines hold a text.
func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
