package esdbservertest

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Events reads a whole stream through the official client, links not resolved. A stream that does not exist has none.
func (s *Server) Events(t testing.TB, stream string) []*esdb.RecordedEvent {
	t.Helper()
	read, err := s.Client(t).ReadStream(context.Background(), stream, esdb.ReadStreamOptions{}, math.MaxInt64)
	if err != nil {
		t.Fatalf("read %s: %v", stream, err)
	}
	return drain(t, read)
}

// All reads everything that was ever written, in order, the server's own metadata events and tombstones included.
func (s *Server) All(t testing.TB) []*esdb.RecordedEvent {
	t.Helper()
	read, err := s.Client(t).ReadAll(context.Background(), esdb.ReadAllOptions{}, math.MaxInt64)
	if err != nil {
		t.Fatalf("read all: %v", err)
	}
	return drain(t, read)
}

func drain(t testing.TB, read *esdb.ReadStream) []*esdb.RecordedEvent {
	t.Helper()
	defer read.Close()
	var events []*esdb.RecordedEvent
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return events
		}
		if failure, ok := esdb.FromError(err); !ok && failure.IsErrorCode(esdb.ErrorCodeResourceNotFound) {
			return nil
		}
		if err != nil {
			t.Fatalf("read events: %v", err)
		}
		events = append(events, event.OriginalEvent())
	}
}
