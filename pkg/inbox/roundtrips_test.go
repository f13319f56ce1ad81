package inbox_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"

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
