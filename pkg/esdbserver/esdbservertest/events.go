package esdbservertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Append writes events past the code under test and past the faults, whatever the stream's revision is, and returns that of
// the last one.
func (s *Server) Append(t testing.TB, stream string, events ...esdb.EventData) uint64 {
	t.Helper()
	client := s.clientAside(t)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	written, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, events...)
	if err != nil {
		t.Fatalf("append to %s: %v", stream, err)
	}
	return written.NextExpectedVersion
}

// Events reads a whole stream through the official client, links not resolved. A stream that does not exist has none.
func (s *Server) Events(t testing.TB, stream string) []*esdb.RecordedEvent {
	t.Helper()
	events, err := s.read(t, func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
		return client.ReadStream(ctx, stream, esdb.ReadStreamOptions{}, math.MaxInt64)
	})
	if err != nil {
		t.Fatalf("read %s: %v", stream, err)
	}
	return events
}

// All reads everything that was ever written, in order, the server's own metadata events and tombstones included.
func (s *Server) All(t testing.TB) []*esdb.RecordedEvent {
	t.Helper()
	events, err := s.read(t, func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
		return client.ReadAll(ctx, esdb.ReadAllOptions{}, math.MaxInt64)
	})
	if err != nil {
		t.Fatalf("read all: %v", err)
	}
	return events
}

// Await waits until a stream shows at least n events, and returns all that it then shows. It has the patience that a busy
// machine needs, and outlasts faults and restarts.
func (s *Server) Await(t testing.TB, stream string, n int) []*esdb.RecordedEvent {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		events, err := s.read(t, func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			return client.ReadStream(ctx, stream, esdb.ReadStreamOptions{}, math.MaxInt64)
		})
		if err == nil && len(events) >= n {
			return events
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			if err != nil {
				t.Fatalf("waited in vain for %d events of %s: %v", n, stream, err)
			}
			t.Fatalf("waited in vain for %d events of %s: it has %s", n, stream, inWords(events))
		}
	}
}

// inWords names events by revision and type.
func inWords(events []*esdb.RecordedEvent) string {
	if len(events) == 0 {
		return "none"
	}
	words := make([]string, len(events))
	for i, e := range events {
		words[i] = fmt.Sprintf("%d:%s", e.EventNumber, e.EventType)
	}
	return strings.Join(words, " ")
}

// read connects, reads to the end and leaves nothing open. What is not there has no events.
func (s *Server) read(t testing.TB, begin func(context.Context, *esdb.Client) (*esdb.ReadStream, error)) ([]*esdb.RecordedEvent, error) {
	t.Helper()
	client := s.clientAside(t)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	read, err := begin(ctx, client)
	if err != nil {
		return nil, err
	}
	defer read.Close()
	var events []*esdb.RecordedEvent
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if failure, ok := esdb.FromError(err); !ok && failure.IsErrorCode(esdb.ErrorCodeResourceNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		events = append(events, event.OriginalEvent())
	}
}
