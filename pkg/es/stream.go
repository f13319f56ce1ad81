package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// ReadStream returns the events of a stream from revision from on, in order. A
// stream without events is [ErrNotFound]; one that ends before from is empty.
// It waits out an unavailable server for as long as ctx allows, and returns
// [ErrUnavailable] after that.
func (s *Store) ReadStream(ctx context.Context, stream string, from Revision) ([]Recorded, error) {
	return s.read(ctx, stream, readingStream(stream, from, math.MaxInt64))
}

// ReadFirst returns the first event of a stream, or [ErrNotFound]. It waits as
// [Store.ReadStream] does.
func (s *Store) ReadFirst(ctx context.Context, stream string) (Recorded, error) {
	events, err := s.read(ctx, stream, readingStream(stream, 0, 1))
	if err != nil {
		return Recorded{}, err
	}
	if len(events) == 0 {
		return Recorded{}, fmt.Errorf("read %s: %w", stream, ErrNotFound)
	}
	return events[0], nil
}

// ReadLast returns the last events of a stream, up to limit of them, in order,
// or [ErrNotFound]. It waits as [Store.ReadStream] does.
func (s *Store) ReadLast(ctx context.Context, stream string, limit int) ([]Recorded, error) {
	events, err := s.read(ctx, stream, readingLast(stream, uint64(max(limit, 0))))
	slices.Reverse(events)
	return events, err
}

// reading is a call that reads events.
type reading = func(context.Context, *esdb.Client) ([]Recorded, error)

// read repeats what broke off: reading changes nothing.
func (s *Store) read(ctx context.Context, stream string, how reading) ([]Recorded, error) {
	pause := 5 * time.Millisecond
	for {
		events, err := call(ctx, s, how)
		if err == nil {
			return events, nil
		}
		err = fmt.Errorf("read %s: %w", stream, err)
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil || s.isClosed() {
			return nil, err
		}
		if s.wait(ctx, pause) != nil {
			return nil, err
		}
		pause = min(2*pause, longestPause)
	}
}

// readingStream is the call that reads up to limit events from a revision on.
func readingStream(stream string, from Revision, limit uint64) reading {
	return readingWith(stream, esdb.ReadStreamOptions{From: esdb.Revision(uint64(max(from, 0)))}, limit)
}

// readingLast is the call that reads the last events of a stream, up to limit of
// them, the last one first.
func readingLast(stream string, limit uint64) reading {
	return readingWith(stream, esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, limit)
}

func readingWith(stream string, options esdb.ReadStreamOptions, limit uint64) reading {
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
