package protocoltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// patience is how long a rule waits for what must come.
const patience = 30 * time.Second

// within bounds a call that should end by itself.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// world is what one rule has of a server: its own streams, and $all from the moment on at which it began.
type world struct {
	*Script
	t     *testing.T
	began esdb.Position // of the last event before
}

func newWorld(t *testing.T, server Server) *world {
	t.Helper()
	w := &world{Script: NewScript(t, connect(t, server), "rule-"+uuid.NewString()[:13]+"-"), t: t}
	w.Restart = func() {
		server.Restart()
		w.Client = connect(t, server)
	}
	began, err := w.Client.AppendToStream(within(t), w.Stream("began"), esdb.AppendToStreamOptions{}, Event("began"))
	if err != nil {
		t.Fatalf("the server takes no events: %v", err)
	}
	w.began = esdb.Position{Commit: began.CommitPosition, Prepare: began.PreparePosition}
	return w
}

// connect connects the official client, silenced, until the test ends.
func connect(t *testing.T, server Server) *esdb.Client {
	t.Helper()
	config := configuration(t, server)
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() }) // never fails
	return client
}

func configuration(t *testing.T, server Server) *esdb.Configuration {
	t.Helper()
	config, err := esdb.ParseConnectionString(server.ConnectionString)
	if err != nil {
		t.Fatalf("connection string %q: %v", server.ConnectionString, err)
	}
	config.Logger = esdb.NoopLogging()
	return config
}

// given carries out lines that must work.
func (w *world) given(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		outcome, _, _ := strings.Cut(w.Do(line), " ")
		if !slices.Contains([]string{"revision", "deleted", "tombstoned", "restarted"}, outcome) {
			w.t.Fatalf("%s: %s", line, outcome)
		}
	}
}

func (w *world) metadata() *esdb.StreamMetadata {
	w.t.Helper()
	metadata, err := w.Client.GetStreamMetadata(within(w.t), w.Stream("s"), esdb.ReadStreamOptions{})
	if err != nil {
		w.t.Fatalf("metadata: %v", err)
	}
	return metadata
}

// own says whether an event of $all belongs to this rule.
func (w *world) own(e *esdb.RecordedEvent) bool {
	return strings.HasPrefix(strings.TrimPrefix(e.StreamID, "$$"), w.Prefix)
}

// recorded is what the rule has written since it began, as $all tells it.
func (w *world) recorded() []*esdb.RecordedEvent {
	w.t.Helper()
	read, err := w.Client.ReadAll(within(w.t), esdb.ReadAllOptions{From: w.began}, math.MaxInt64)
	if err != nil {
		w.t.Fatalf("read $all: %v", err)
	}
	all, err := receiveAll(read)
	if err != nil {
		w.t.Fatalf("read $all: %v", err)
	}
	var own []*esdb.RecordedEvent
	for _, e := range all {
		if w.own(e.OriginalEvent()) && e.OriginalEvent().Position != w.began {
			own = append(own, e.OriginalEvent())
		}
	}
	return own
}

// all is what $all tells of some streams, in words.
func (w *world) all(streams ...string) string {
	w.t.Helper()
	var words []string
	for _, e := range w.recorded() {
		if slices.ContainsFunc(streams, func(name string) bool { return w.Stream(name) == e.StreamID }) {
			words = append(words, fmt.Sprintf("%d:%s", e.EventNumber, e.EventType))
		}
	}
	return strings.Join(words, " ")
}

// receiveAll reads to the end.
func receiveAll(read *esdb.ReadStream) ([]*esdb.ResolvedEvent, error) {
	defer read.Close()
	var events []*esdb.ResolvedEvent
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
}
