package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

var (
	errBus       = errors.New("no connection to the broker")
	errBroken    = errors.New("this event has no meaning")
	errTemporary = errors.New("the keys cannot be read at the moment")
)

// world is an event store, a database and a bus, with relays between them.
type world struct {
	t      testing.TB
	server *esdbservertest.Server
	store  *es.Store
	db     sqldb.DB
	bus    *fakeBus
	ttl    time.Duration // of the lease

	mu      sync.Mutex
	healed  bool // whether what was untranslatable has become translatable
	outage  bool // whether translating hits a temporary error
	refused int  // how often it did
	seen    int  // events that were translated
}

func newWorld(t testing.TB, db sqldb.DB, options ...esdbservertest.Option) *world {
	t.Helper()
	if err := relay.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: esdbservertest.New(t, options...), db: db, bus: &fakeBus{}, ttl: time.Minute} // busy machines lose shorter ones
	store, err := es.Open(w.server.ConnectionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w.store = store
	return w
}

// relay returns a relay of the streams order-..., on db.
func (w *world) relay(db sqldb.DB) *relay.Relay {
	return relay.New(relay.Config{
		Name: "order", Store: w.store, Prefixes: []string{"order-", "return-"}, DB: db, Bus: w.bus, Translate: w.translate,
		Temporary: func(err error) bool { return errors.Is(err, errTemporary) },
		LeaseTTL:  w.ttl,
	})
}

// translate announces an event once; some types do something else.
func (w *world) translate(_ context.Context, r es.Recorded) ([]eventbus.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
	event := func(typ string) eventbus.Event {
		return eventbus.Event{
			ID: cause.IntegrationID(r.ID, typ).String(), Source: "/orderflow/order", Type: typ,
			Subject: r.AggregateID().String(), Time: r.At, Data: r.Data, Sequence: int64(r.Revision),
			CorrelationID: r.Metadata.CorrelationID, CausationID: r.Metadata.CausationID,
		}
	}
	if w.outage {
		w.refused++
		return nil, errTemporary
	}
	if w.healed {
		return []eventbus.Event{event("order.events." + r.Type + ".v1")}, nil
	}
	switch r.Type {
	case "private":
		return nil, nil
	case "double":
		return []eventbus.Event{event("order.events.first.v1"), event("order.events.second.v1")}, nil
	case "twins":
		return []eventbus.Event{event("order.events.twin.v1"), event("order.events.twin.v1")}, nil
	case "broken":
		return nil, errBroken
	case "panicky":
		panic("no \x00 such field \xff")
	case "invalid":
		return []eventbus.Event{{Type: "order.events.invalid.v1"}}, nil
	case "command":
		return []eventbus.Event{event("nobody.commands.listens.v1")}, nil
	}
	return []eventbus.Event{event("order.events." + r.Type + ".v1")}, nil
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) translations() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func order(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", n) }

// commit appends events of the given types to an order.
func (w *world) commit(order string, types ...string) {
	w.t.Helper()
	w.write("order-"+order, `{"$correlationId":"c","$causationId":"d"}`, types...)
}

func (w *world) write(stream, metadata string, types ...string) {
	w.t.Helper()
	events := make([]esdb.EventData, len(types))
	for i, typ := range types {
		events[i] = esdb.EventData{
			EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(`{}`), Metadata: []byte(metadata),
		}
	}
	w.server.Append(w.t, stream, events...)
}

// run keeps a relay going as a service does, until stop.
func (w *world) run(r *relay.Relay) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for r.Run(ctx) != nil {
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() { cancel(); group.Wait() })
}

func (w *world) checkpoint() int {
	w.t.Helper()
	return sqldbtest.Count(w.t, w.db, `SELECT CAST(coalesce(sum(position), 0) AS BIGINT) FROM relay_checkpoint`)
}

// last is the position of the last event in the log.
func (w *world) last() int {
	all := w.server.All(w.t)
	return int(all[len(all)-1].Position.Commit)
}

// caughtUp waits until the checkpoint is at the end of the log.
func (w *world) caughtUp() {
	w.t.Helper()
	last := w.last()
	sqldbtest.Eventually(w.t, "the relay reached the end of the log", func() bool { return w.checkpoint() >= last })
}

func (w *world) deadLetters(r *relay.Relay) []relay.Parked {
	w.t.Helper()
	page, _, err := r.DeadLetters(w.t.Context(), "", 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return page
}

// fakeBus keeps what was published, and does what a test tells it to.
type fakeBus struct {
	mu     sync.Mutex
	events []eventbus.Event
	before func(ctx context.Context, events []eventbus.Event) error // an error: nothing was stored
	after  func(ctx context.Context, events []eventbus.Event) error // an error: stored, and the answer was lost
}

func (b *fakeBus) Publish(ctx context.Context, events ...eventbus.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.before != nil {
		if err := b.before(ctx, events); err != nil {
			return err
		}
	}
	for _, e := range events {
		if e.IsCommand() {
			return eventbus.ErrUnroutable
		}
	}
	b.events = append(b.events, events...)
	if b.after != nil {
		return b.after(ctx, events)
	}
	return nil
}

// all is everything that was published.
func (b *fakeBus) all() []eventbus.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

func (b *fakeBus) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// published lists what was stored, as subject@sequence name.
func (b *fakeBus) published() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, e := range b.events {
		name := strings.TrimSuffix(strings.TrimPrefix(e.Type, "order.events."), ".v1")
		list = append(list, fmt.Sprintf("%s@%d %s", strings.TrimLeft(e.Subject, "0-78"), e.Sequence, name))
	}
	return list
}

// distinct drops what a consumer would recognise as a repetition.
func (b *fakeBus) distinct() (list []string, repeated int) {
	all := b.published()
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := map[string]bool{}
	for i, e := range b.events {
		if seen[e.ID] {
			repeated++
			continue
		}
		seen[e.ID] = true
		list = append(list, all[i])
	}
	return list, repeated
}

// names cuts a list of descriptions down to the last word of each.
func names(list []string) []string {
	out := slices.Clone(list)
	for i, s := range out {
		out[i] = s[strings.LastIndexByte(s, ' ')+1:]
	}
	return out
}

// dump is for failure messages.
func dump(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
