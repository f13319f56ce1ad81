//go:build unix

package chain

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/porttest"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// world is everything the chain runs on, as a test sees it: without the faults
// that stand in the way of the processes.
type world struct {
	random *rand.Rand
	store  *es.Store
	order  sqldb.DB // the relay's
	read   map[string]sqldb.DB
	env    []string // of the processes
}

// servers are the addresses that processes are given.
type servers struct{ bus, order, packing, crm string }

// embedded is one file for the bus and one for each service.
func embedded(t *testing.T) servers {
	bus := "sqlite://" + filepath.Join(t.TempDir(), "bus.db")
	return servers{bus, sqldbtest.SQLiteURL(t), sqldbtest.SQLiteURL(t), sqldbtest.SQLiteURL(t)}
}

// production is RabbitMQ, in a namespace that is removed with the test, and PostgreSQL.
func production(t *testing.T) servers {
	broker := rabbitmqtest.URL(t)
	namespace := rabbitmqtest.Namespace(t, broker, counted, seen)
	return servers{broker + "?namespace=" + namespace, sqldbtest.PostgresURL(t), sqldbtest.PostgresURL(t), sqldbtest.PostgresURL(t)}
}

// through replaces the host of an address.
func through(t *testing.T, rawURL, host string) string {
	t.Helper()
	address, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	address.Host = host
	return address.String()
}

func hostOf(t *testing.T, rawURL string) string {
	t.Helper()
	address, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return address.Host
}

// newWorld makes the tables. near are the servers as the test sees them, far as
// the processes do.
func newWorld(t *testing.T, near, far servers) *world {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("CHAIN_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CHAIN_SEED: %v", err)
		}
		seed = given
	}
	t.Logf("CHAIN_SEED=%d", seed)
	storeURL := fmt.Sprintf("esdb://127.0.0.1:%d?tls=false", porttest.For(t, 1))
	store, err := es.Open(storeURL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w := &world{
		random: rand.New(rand.NewPCG(seed, seed)), store: store, order: open(t, near.order),
		read: map[string]sqldb.DB{"packing": open(t, near.packing), "crm": open(t, near.crm)},
		env: []string{
			storeVariable + "=" + storeURL, storeDirVariable + "=" + t.TempDir(), busVariable + "=" + far.bus,
			orderVariable + "=" + far.order, packingVariable + "=" + far.packing, crmVariable + "=" + far.crm,
		},
	}
	if err := relay.Migrate(t.Context(), w.order); err != nil {
		t.Fatal(err)
	}
	for _, db := range w.read {
		if err := migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func open(t *testing.T, rawURL string) sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// start starts the event store, three relays and three consumers, and waits
// until the queues are there.
func (w *world) start(t *testing.T) (store *process, relays, consumers []*process) {
	t.Helper()
	store = newProcess(t, "store", "store", w.env)
	for i := range 3 {
		relays = append(relays, newProcess(t, fmt.Sprint("relay", i), "relay", w.env))
		consumers = append(consumers, newProcess(t, fmt.Sprint("consumer", i), "consumer", w.env))
	}
	store.start(t)
	for _, p := range consumers {
		p.start(t)
	}
	for _, p := range append([]*process{store}, consumers...) {
		p.await(t)
	}
	for _, p := range relays {
		p.start(t)
	}
	return store, relays, consumers
}

// duration is how long things go wrong.
func duration() time.Duration {
	if os.Getenv("TEST_LONG") == "1" {
		return time.Minute
	}
	return 9 * time.Second
}

// pause waits until it is time for the next fault.
func (w *world) pause(ctx context.Context, least, most time.Duration) {
	timer := time.NewTimer(least + time.Duration(w.random.Int64N(int64(most-least))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func pick[T any](w *world, list []T) T { return list[w.random.IntN(len(list))] }

// eventually waits for what must come.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", strings.TrimSpace(what))
		}
	}
}
