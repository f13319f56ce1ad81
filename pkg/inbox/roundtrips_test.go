package inbox_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// turns counts how often a client spoke after its server did: round trips.
type turns struct {
	mu      sync.Mutex
	answers bool // the server spoke last
	count   int
}

func (c *turns) spoke(server bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers && !server {
		c.count++
	}
	c.answers = server
}

// since is how many there were, from now on.
func (c *turns) since() (stop func() int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.count
	return func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.count - before
	}
}

// listened returns a database with one connection whose round trips are counted.
func listened(t *testing.T) (sqldb.DB, *turns) {
	t.Helper()
	address, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := &turns{}
	var carrying sync.WaitGroup
	server := address.Host
	carrying.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := new(net.Dialer).DialContext(context.Background(), "tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			carrying.Go(func() { carry(upstream, client, func() { counted.spoke(false) }) })
			carrying.Go(func() { carry(client, upstream, func() { counted.spoke(true) }) })
		}
	})
	address.Host = listener.Addr().String()
	query := address.Query()
	query.Set("pool_max_conns", "1")
	address.RawQuery = query.Encode()
	db, err := sqldb.Open(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db.Close()
		_ = listener.Close()
		carrying.Wait()
	})
	return db, counted
}

func carry(to, from net.Conn, spoke func()) {
	defer func() { _, _ = to.Close(), from.Close() }() // whichever ends first ends both
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			spoke()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func TestABatchOfAHundredTakesTwoRoundTrips(t *testing.T) {
	for name, register := range map[string]func(*inbox.Inbox){"On": oneByOne, "OnBatch": allAtOnce} {
		t.Run(name, func(t *testing.T) {
			db, trips := listened(t)
			in := newBenchInbox(t, db, register, 1)
			var taken []int
			for range 5 { // statements are prepared at first, and a server may still have to plan
				count := trips.since()
				if err := in.Handle(t.Context(), batch(benchEvents(100)...)); err != nil {
					t.Fatal(err)
				}
				taken = append(taken, count())
			}
			if last := taken[len(taken)-1]; last > 2 {
				t.Errorf("%v round trips, want 2 in the end", taken)
			}
			duplicates := benchEvents(1)
			again := append(duplicates, duplicates...)
			for range 5 {
				count := trips.since()
				if err := in.Handle(t.Context(), batch(again...)); err != nil {
					t.Fatal(err)
				}
				taken = append(taken, count())
			}
			if last := taken[len(taken)-1]; last > 3 {
				t.Errorf("%v round trips, want 3 with a duplicate", taken)
			}
		})
	}
}

// TestABatchTakenForNewThatIsNotIsLookedAtBeforeAnyHandlerRuns has batches after
// one that was all new, as the next one is then expected to be.
func TestABatchTakenForNewThatIsNotIsLookedAtBeforeAnyHandlerRuns(t *testing.T) {
	for name, next := range map[string]func(w *world) []eventbus.Event{
		"an event comes again": func(*world) []eventbus.Event {
			return []eventbus.Event{event(placed, "b", "b-000"), event(placed, "a", "a-000")}
		},
		"one is there twice": func(*world) []eventbus.Event {
			return []eventbus.Event{event(placed, "b", "b-000"), event(placed, "b", "b-000")}
		},
		"one is behind a held one": func(w *world) []eventbus.Event {
			w.when("held", always(errHandler))
			w.handle(t, event(placed, "c", "held"))
			w.handle(t, event(placed, "a", "a-001")) // all new again
			return []eventbus.Event{event(placed, "b", "b-000"), event(placed, "c", "c-000")}
		},
		"the held one comes again": func(w *world) []eventbus.Event {
			w.when("held", always(errHandler))
			w.handle(t, event(placed, "c", "held"))
			w.handle(t, event(placed, "a", "a-001"))
			return []eventbus.Event{event(placed, "b", "b-000"), event(placed, "c", "held")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
				w := newWorld(t, db, quick)
				w.handle(t, event(placed, "a", "a-000"))
				events := next(w)
				before := w.called(events[1].ID)
				for range 2 {
					w.handle(t, events...)
				}
				if n := w.called("b-000"); n != 1 {
					t.Errorf("the new one was handled %d times", n)
				}
				if n := w.called(events[1].ID) - before; n != 0 && events[1].ID != "b-000" {
					t.Errorf("the other one was handled %d times more", n)
				}
				if diff := cmp.Diff([]string{"b-000"}, w.effects(t, "b")); diff != "" {
					t.Error(diff)
				}
				got := w.in.Stats() // each delivery counts once, and there are two more in the cases with a failure
				if settled := got.Handled + got.Duplicates + got.Held; settled != 5+2*got.Failed {
					t.Errorf("counted %+v", got)
				}
			})
		})
	}
}
