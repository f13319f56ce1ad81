package es

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
)

// Revision is the number of an event in its stream, from 0, without gaps.
type Revision int64

// NoStream is the revision of a stream without events.
const NoStream Revision = -1

// Position is a place in the log of all events. Positions grow, with gaps.
// 0 lies before every event.
type Position uint64

// ErrUnreadable says that the metadata of an event is not what this package
// writes. Somebody else has written to the stream.
var ErrUnreadable = errors.New("unreadable metadata")

// Recorded is an event as the event store keeps it.
type Recorded struct {
	ID       uuid.UUID
	Stream   string
	Revision Revision
	Position Position
	Type     string
	Data     []byte
	Metadata Metadata
	// Unreadable says, wrapped in [ErrUnreadable], why Metadata is empty; nil for
	// every event written by this package. A [Repository] refuses such an event;
	// whoever reads the log sets it aside and goes on.
	Unreadable error
	// At is when the store recorded the event, UTC.
	At time.Time
}

// Metadata is what is known about an event besides its data. $correlationId and
// $causationId are the names the event store itself understands.
type Metadata struct {
	// Version of the event's schema, from 1.
	Version       int    `json:"version"`
	CorrelationID string `json:"$correlationId"`
	CausationID   string `json:"$causationId"`
	TraceParent   string `json:"traceparent,omitempty"`
	// Request and RequestedAt tell of the HTTP call behind the event, if any.
	Request     string    `json:"request,omitempty"`
	RequestedAt time.Time `json:"requestedAt,omitzero"`
	// BodyHash is the fingerprint of the call's body, where a repeated call must
	// be told from a different one.
	BodyHash string `json:"bodyHash,omitempty"`
}

func metadataOf(c cause.Cause, version int) Metadata {
	m := Metadata{
		Version:       version,
		CorrelationID: c.CorrelationID,
		CausationID:   c.ID.String(),
		TraceParent:   c.TraceParent,
		Request:       c.Request,
		BodyHash:      c.BodyHash,
	}
	if c.Request != "" {
		m.RequestedAt = c.At
	}
	return m
}

// StreamName is the stream of one aggregate: its category and id.
func StreamName(category string, id uuid.UUID) string { return category + "-" + id.String() }

// AggregateID is the id in the name of the event's stream, or the nil UUID when
// the stream is not named after an aggregate.
func (r Recorded) AggregateID() uuid.UUID {
	const length = 36 // of a UUID in text
	if len(r.Stream) <= length || r.Stream[len(r.Stream)-length-1] != '-' {
		return uuid.Nil
	}
	id, err := uuid.Parse(r.Stream[len(r.Stream)-length:])
	if err != nil {
		return uuid.Nil
	}
	return id
}

func recorded(e *esdb.RecordedEvent) Recorded {
	r := Recorded{
		ID:       e.EventID,
		Stream:   e.StreamID,
		Revision: Revision(e.EventNumber), //nolint:gosec // far below 2^63
		Position: Position(e.Position.Commit),
		Type:     e.EventType,
		Data:     e.Data,
		At:       e.CreatedDate.UTC(),
	}
	if len(e.UserMetadata) == 0 {
		return r // written by hand, or by another system
	}
	if err := json.Unmarshal(e.UserMetadata, &r.Metadata); err != nil {
		r.Metadata = Metadata{}
		r.Unreadable = fmt.Errorf("%w of event %d of %s: %w", ErrUnreadable, r.Revision, r.Stream, err)
	}
	return r
}
