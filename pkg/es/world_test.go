package es_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
)

// counter is the aggregate of these tests: it adds numbers up.
type counter struct {
	Sum   int
	Count int
}

// added is its only event.
type added struct{ N int }

func apply(c counter, e added) counter { return counter{Sum: c.Sum + e.N, Count: c.Count + 1} }

var errCodec = errors.New("not in this codec")

// codec stores events as JSON. Numbers below zero cannot be encoded.
type codec struct{}

func (codec) Encode(_ context.Context, _ uuid.UUID, e added) (es.Encoded, error) {
	if e.N < 0 {
		return es.Encoded{}, errCodec
	}
	data, err := json.Marshal(e)
	return es.Encoded{Type: "added", Version: 1, Data: data}, err
}

func (codec) Decode(_ context.Context, r es.Recorded) ([]added, error) {
	if r.Type != "added" {
		return nil, fmt.Errorf("%s: %w", r.Type, errCodec)
	}
	var e added
	err := json.Unmarshal(r.Data, &e)
	return []added{e}, err
}

type repository = es.Repository[counter, added]

// connect opens a store on a server and closes it when the test ends.
func connect(t testing.TB, connectionString string) *es.Store {
	t.Helper()
	store, err := es.Open(connectionString, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// counters starts a server and returns a repository on it.
func counters(t testing.TB, options ...esdbservertest.Option) (*esdbservertest.Server, *es.Store, *repository) {
	t.Helper()
	server := esdbservertest.New(t, options...)
	store := connect(t, server.ConnectionString())
	return server, store, es.NewRepository(store, "counter", codec{}, apply)
}

func add(n int) func(counter) ([]added, error) {
	return func(counter) ([]added, error) { return []added{{n}}, nil }
}

func command() cause.Cause {
	id := cause.NewID()
	return cause.Cause{ID: id, CorrelationID: "c-" + id.String(), Request: "POST /x", At: time.Now().UTC()}
}

// within bounds a call that must not hang.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// update must work.
func update(t testing.TB, counters *repository, id uuid.UUID, n int) (counter, es.Revision) {
	t.Helper()
	state, at, err := counters.Update(within(t), id, command(), es.Precondition{}, add(n))
	if err != nil {
		t.Fatal(err)
	}
	return state, at
}

// write puts an event of any form into a stream, past the repository.
func write(t testing.TB, server *esdbservertest.Server, stream, typ, data, metadata string) {
	t.Helper()
	server.Append(t, stream, esdb.EventData{
		EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(data), Metadata: []byte(metadata),
	})
}

func stream(id uuid.UUID) string { return es.StreamName("counter", id) }

// eventually polls until done says yes.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
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
