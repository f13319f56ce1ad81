package esdbserver

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Keys and values of the metadata map that goes with every event on the wire.
const (
	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"

	contentJSON   = "application/json"
	contentBinary = "application/octet-stream"
)

// parseUUID reads an id in either form: text, or the two big-endian halves of its 16 bytes as signed numbers.
func parseUUID(id *shared.UUID) (uuid.UUID, error) {
	switch v := id.GetValue().(type) {
	case *shared.UUID_String_:
		parsed, err := uuid.Parse(v.String_)
		if err != nil {
			return uuid.Nil, unknown("The id is no UUID: " + err.Error())
		}
		return parsed, nil
	case *shared.UUID_Structured_:
		var parsed uuid.UUID
		binary.BigEndian.PutUint64(parsed[:8], uint64(v.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(parsed[8:], uint64(v.Structured.GetLeastSignificantBits()))
		return parsed, nil
	}
	return uuid.Nil, unknown("The id is missing.")
}

// encodeUUID writes an id in the form that was asked for.
func encodeUUID(id uuid.UUID, asString bool) *shared.UUID {
	if asString {
		return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

// streamName reads the name of a stream that a request is about.
func streamName(id *shared.StreamIdentifier) (string, error) {
	name := id.GetStreamName()
	switch {
	case len(name) == 0:
		return "", unknown("The stream name is empty.")
	case !utf8.Valid(name):
		return "", invalid("The stream name is not valid UTF-8.")
	}
	return string(name), nil
}

// revisionOf reads a revision. The largest number means the end, or no stream, in old clients.
func revisionOf(n uint64) (revision int64, isMax bool, err error) {
	if n == math.MaxUint64 {
		return 0, true, nil
	}
	if n > math.MaxInt64 {
		return 0, false, invalid("Revision %d is out of range.", n)
	}
	return int64(n), false, nil
}

// readEvent is an event as the answer to a read, together with the link that led to it, if any. A link whose target is
// gone has no event.
func readEvent(event, link *eventlog.Event, uuidAsString bool) *streams.ReadResp {
	original := event
	if link != nil {
		original = link
	}
	position := uint64(original.Position)
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event:    recordedEvent(event, position, uuidAsString),
		Link:     recordedEvent(link, position, uuidAsString),
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
	}}}
}

func recordedEvent(e *eventlog.Event, position uint64, uuidAsString bool) *streams.ReadResp_ReadEvent_RecordedEvent {
	if e == nil {
		return nil
	}
	contentType := contentBinary
	if e.JSON {
		contentType = contentJSON
	}
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               encodeUUID(e.ID, uuidAsString),
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(e.Stream)},
		StreamRevision:   uint64(e.Revision),
		PreparePosition:  position,
		CommitPosition:   position,
		Metadata: map[string]string{
			keyType:        e.Type,
			keyContentType: contentType,
			keyCreated:     strconv.FormatInt(e.Created, 10),
		},
		CustomMetadata: e.Metadata,
		Data:           e.Data,
	}
}
