// Package ordertest gives a test what every part of this service stands on that follows the orders in the event store: a
// database with the service's tables, an event store of the test's own, and orders in it.
package ordertest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// World is an event store with the orders in it. Nothing follows them yet.
type World struct {
	Server *esdbservertest.Server
	Store  *es.Store
	Orders *es.Repository[domain.Order, domain.Event]
	// Log keeps what is written to it as text, for the part that is tested.
	Log *Lines
}

// New makes the tables in db, which is empty, and starts an event store, which ends with the test. The caller is a package
// of services/order/internal: the migrations are found from there.
func New(t testing.TB, db sqldb.DB, options ...esdbservertest.Option) *World {
	t.Helper()
	if err := errors.Join(
		sqldb.MigrateLease(t.Context(), db),
		sqldb.Migrate(t.Context(), db, "order", os.DirFS("../../migrations")),
	); err != nil {
		t.Fatal(err)
	}
	server := esdbservertest.New(t, options...)
	store, err := es.Open(server.ConnectionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return &World{
		Server: server, Store: store, Log: &Lines{},
		Orders: es.NewRepository(store, "order", stored.Codec{}, domain.Apply),
	}
}

// Do carries out a command on an order.
func Do(t rapid.TB, orders *es.Repository[domain.Order, domain.Event], id uuid.UUID, decide func(domain.Order) ([]domain.Event, error)) {
	t.Helper()
	ctx := context.Background()
	if _, _, err := orders.Update(ctx, id, cause.FromContext(ctx), es.Precondition{}, decide); err != nil {
		t.Fatal(err)
	}
}

// Scribble appends an event of any kind to the stream of an order.
func Scribble(t testing.TB, server *esdbservertest.Server, id uuid.UUID, typ, data, metadata string) {
	t.Helper()
	server.Append(t, es.StreamName("order", id), esdb.EventData{
		EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(data), Metadata: []byte(metadata),
	})
}

// Run keeps a loop going as the kit does it, from the start again when what it talks to was away; any other error fails
// the test. stop ends it and waits for that, and is called with the end of the test anyway.
func Run(t testing.TB, loop func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := loop(ctx); err != nil && !errors.Is(err, es.ErrUnavailable) && !sqldb.IsUnavailable(err) {
				t.Errorf("the loop stopped: %v", err)
			}
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// Lines keeps what is logged, by several goroutines.
type Lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write is called by a handler of log/slog, once for each line.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
