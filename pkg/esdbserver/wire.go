package esdbserver

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
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
	most, least := halves(id)
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: int64(most), LeastSignificantBits: int64(least),
	}}}
}

// halves are the two big-endian halves of an id.
func halves(id uuid.UUID) (most, least uint64) {
	return binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
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
