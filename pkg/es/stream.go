package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// ReadStream returns the events of a stream from revision from on, in order. A
// stream without events is [ErrNotFound]; one that ends before from is empty.
// It waits out an unavailable server for as long as ctx allows, and returns
// [ErrUnavailable] after that.
func (s *Store) ReadStream(ctx context.Context, stream string, from Revision) ([]Recorded, error) {
	return s.read(ctx, stream, from, math.MaxInt64)
}

// ReadFirst returns the first event of a stream, or [ErrNotFound]. It waits as
// [Store.ReadStream] does.
func (s *Store) ReadFirst(ctx context.Context, stream string) (Recorded, error) {
	events, err := s.read(ctx, stream, 0, 1)
	if err != nil {
		return Recorded{}, err
	}
	if len(events) == 0 {
		return Recorded{}, fmt.Errorf("read %s: %w", stream, ErrNotFound)
	}
	return events[0], nil
}

// read repeats what broke off: reading changes nothing.
func (s *Store) read(ctx context.Context, stream string, from Revision, limit uint64) ([]Recorded, error) {
	pause := 5 * time.Millisecond
	for {
		events, err := s.readOnce(ctx, stream, from, limit)
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil || s.isClosed() {
			return events, err
		}
		if s.wait(ctx, pause) != nil {
			return nil, err
		}
		pause = min(2*pause, longestPause)
	}
}

func (s *Store) readOnce(ctx context.Context, stream string, from Revision, limit uint64) ([]Recorded, error) {
	events, err := call(ctx, s, readingStream(stream, from, limit))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	return events, nil
}

// readingStream is the call that reads up to limit events.
func readingStream(stream string, from Revision, limit uint64) func(context.Context, *esdb.Client) ([]Recorded, error) {
	options := esdb.ReadStreamOptions{From: esdb.Revision(uint64(max(from, 0)))}
	return func(ctx context.Context, client *esdb.Client) ([]Recorded, error) {
		result, err := client.ReadStream(ctx, stream, options, limit)
		if err != nil {
			return nil, err
		}
		defer result.Close()
		var events []Recorded
		for {
			resolved, err := result.Recv()
			if errors.Is(err, io.EOF) {
				return events, nil
			}
			if err != nil {
				return nil, err
			}
			events = append(events, recorded(resolved.OriginalEvent()))
		}
	}
}

// proposed is an event on its way into the store.
type proposed struct {
	id       uuid.UUID
	encoded  Encoded
	metadata Metadata
}

// append writes events after the expected revision, all or none. It is tried
// once: after [ErrUnavailable] the stream has to be asked what became of it.
func (s *Store) append(ctx context.Context, stream string, expected Revision, events []proposed) error {
	data := make([]esdb.EventData, len(events))
	for i, e := range events {
		metadata, err := json.Marshal(e.metadata)
		if err != nil {
			return fmt.Errorf("append %s: %w", stream, err)
		}
		data[i] = esdb.EventData{
			EventID:     e.id,
			EventType:   e.encoded.Type,
			ContentType: esdb.ContentTypeJson,
			Data:        e.encoded.Data,
			Metadata:    metadata,
		}
	}
	var expectation esdb.ExpectedRevision = esdb.NoStream{}
	if expected != NoStream {
		expectation = esdb.Revision(uint64(expected)) //nolint:gosec // not negative
	}
	_, err := call(ctx, s, func(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
		return client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expectation}, data...)
	})
	if err != nil {
		return fmt.Errorf("append %s: %w", stream, err)
	}
	return nil
}
