//go:build unix

package chain

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
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
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// disorder is a bus that stores everything twice and hands it out in whatever
// order it is told to.
type disorder struct {
	mu      sync.Mutex
	waiting []eventbus.Event
	new     int // events, since they were last all there
}

func (d *disorder) Publish(_ context.Context, events ...eventbus.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(append(d.waiting, events...), events...)
	d.new += len(events)
	return nil
}

// stored reports whether that many new events have come.
func (d *disorder) stored(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.new < n {
		return false
	}
	d.new = 0
	return true
}

// all takes everything that waits, in the order in which it came.
func (d *disorder) all() []eventbus.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	waiting := d.waiting
	d.waiting = nil
	return waiting
}

// sorted puts what waits into an order that does not depend on when it came,
// and returns how much it is.
func (d *disorder) sorted() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.SortFunc(d.waiting, func(a, b eventbus.Event) int {
		return cmp.Or(strings.Compare(a.Subject, b.Subject), cmp.Compare(a.Sequence, b.Sequence))
	})
	return len(d.waiting)
}

// take removes one, or hands it out and keeps it.
func (d *disorder) take(i int, keep bool) eventbus.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.waiting[i]
	if !keep {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	return e
}

// chain is the whole way in one process, on a bus without any order.
type chain struct {
	server  *esdbservertest.Server
	bus     *disorder
	inboxes map[string]*inbox.Inbox // by event type
	read    map[string]sqldb.DB
	out     *outbox.Outbox
}

func newChain(t *testing.T, databases func(testing.TB) sqldb.DB) *chain {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	order, packingDB, crmDB := databases(t), databases(t), databases(t)
	c := &chain{server: esdbservertest.New(t), bus: &disorder{}, read: map[string]sqldb.DB{"packing": packingDB, "crm": crmDB}}
	store, err := es.Open(c.server.ConnectionString(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	if err := relay.Migrate(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	for _, db := range c.read {
		if err := migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	c.out = outbox.New(packingDB, c.bus, log, outbox.Options{Poll: 5 * time.Millisecond})
	c.inboxes = map[string]*inbox.Inbox{counted: packing(packingDB, c.out, log), seen: crm(crmDB, log)}
	r := relay.New(relay.Config{Name: "order", Store: store, Prefixes: []string{"order-"}, DB: order, Bus: c.bus, Translate: announce})
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { again(ctx, log, "relay", r.Run) })
	loops.Go(func() { again(ctx, log, "outbox", c.out.Run) })
	t.Cleanup(func() { cancel(); loops.Wait() })
	return c
}

func TestReadModelsConvergeWhateverComesTwiceAndInWhateverOrder(t *testing.T) {
	for _, on := range []struct {
		name      string
		databases func(testing.TB) sqldb.DB
	}{{"sqlite", sqldbtest.SQLite}, {"postgres", sqldbtest.Postgres}} {
		t.Run(on.name, func(t *testing.T) {
			c := newChain(t, on.databases)
			rapid.Check(t, func(r *rapid.T) { c.round(t, r) })
		})
	}
}

// round commits events of a few new subjects and delivers what comes of them.
func (c *chain) round(t *testing.T, r *rapid.T) {
	subjects := map[string]int{} // how many events each has
	total := 0
	for range rapid.IntRange(1, 3).Draw(r, "subjects") {
		id := cause.NewID()
		events := make([]esdb.EventData, rapid.IntRange(1, 6).Draw(r, "events"))
		for i := range events {
			data, err := codec{}.Encode(t.Context(), id, number{i + 1})
			if err != nil {
				r.Fatal(err)
			}
			events[i] = esdb.EventData{EventID: uuid.New(), EventType: data.Type, ContentType: esdb.ContentTypeJson, Data: data.Data}
		}
		c.server.Append(t, es.StreamName("order", id), events...)
		subjects[id.String()] = len(events)
		total += len(events)
	}
	for _, announced := range []string{"the relay", "the outbox"} {
		eventually(t, announced+" has announced everything", func() bool { return c.bus.stored(total) })
		c.deliver(r)
	}
	for name, db := range c.read {
		for subject, events := range subjects {
			got := [3]int{
				sqldbtest.Count(t, db, `SELECT events FROM total WHERE subject = $1`, subject),
				sqldbtest.Count(t, db, `SELECT sum FROM total WHERE subject = $1`, subject),
				sqldbtest.Count(t, db, `SELECT n FROM latest WHERE subject = $1`, subject),
			}
			if want := [3]int{events, events * (events + 1) / 2, events}; got != want {
				r.Errorf("%s: number, sum and last of the events of a subject are %v, want %v", name, got, want)
			}
		}
	}
}

// deliver hands everything out that waits, some of it more than twice.
func (c *chain) deliver(r *rapid.T) {
	for {
		waiting := c.bus.sorted()
		if waiting == 0 {
			return
		}
		batches := map[string][]eventbus.Delivery{}
		for range rapid.IntRange(1, min(waiting, 8)).Draw(r, "batch") {
			i := rapid.IntRange(0, waiting-1).Draw(r, "which")
			keep := rapid.IntRange(0, 3).Draw(r, "again") == 0
			e := c.bus.take(i, keep)
			batches[e.Type] = append(batches[e.Type], eventbus.Delivery{Event: e})
			if !keep {
				waiting--
			}
		}
		for typ, batch := range batches {
			if err := c.inboxes[typ].Handle(context.Background(), batch); err != nil {
				r.Fatal(err)
			}
		}
	}
}
