package esdbserver

import (
	"encoding/binary"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Events are most of what the server sends. They are written in their wire form directly: building the generated messages
// first, with a map each for three fixed keys, would cost more than reading the event from disk. A test holds the two forms
// against each other. The numbers are those of the fields in the protocol's streams.proto and persistent.proto.
const (
	fieldRespEvent = 1 // ReadResp

	fieldEventEvent          = 1 // ReadResp.ReadEvent
	fieldEventLink           = 2
	fieldEventCommitPosition = 3
	fieldEventRetryCount     = 5 // of the ReadResp.ReadEvent in persistent.proto, which has the same fields otherwise

	fieldRecordedID              = 1 // ReadResp.ReadEvent.RecordedEvent
	fieldRecordedStream          = 2
	fieldRecordedRevision        = 3
	fieldRecordedPreparePosition = 4
	fieldRecordedCommitPosition  = 5
	fieldRecordedMetadata        = 6
	fieldRecordedCustomMetadata  = 7
	fieldRecordedData            = 8

	fieldStreamName = 3 // StreamIdentifier

	fieldUUIDStructured = 1 // UUID
	fieldUUIDString     = 2
	fieldUUIDMost       = 1 // UUID.Structured
	fieldUUIDLeast      = 2

	fieldMapKey   = 1
	fieldMapValue = 2
)

// encoded is a message in its wire form. The codec sends it as it is.
type encoded struct{ buffer mem.Buffer }

// codec is gRPC's own for generated messages; what is encoded already passes.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	if e, ok := message.(encoded); ok {
		return mem.BufferSlice{e.buffer}, nil
	}
	return c.CodecV2.Marshal(message)
}

// encodeEvent is an event as the answer to a read, together with the link that led to it, if any. A link whose target is
// gone has no event.
func encodeEvent(event, link *eventlog.Event, uuidAsString bool) encoded {
	return encodeWith(nil, event, link, uuidAsString)
}

// encodeDelivery is an event as a persistent subscription sends it.
func encodeDelivery(event, link *eventlog.Event, retries int32, uuidAsString bool) encoded {
	var room [1 + binary.MaxVarintLen64]byte
	more := protowire.AppendTag(room[:0], fieldEventRetryCount, protowire.VarintType)
	return encodeWith(protowire.AppendVarint(more, uint64(retries)), event, link, uuidAsString)
}

// encodeWith is an event with more fields behind its own.
func encodeWith(more []byte, event, link *eventlog.Event, uuidAsString bool) encoded {
	original := event
	if link != nil {
		original = link
	}
	w := eventWriter{position: uint64(original.Position), uuidAsString: uuidAsString}
	body := sizeField(fieldEventCommitPosition, protowire.SizeVarint(w.position)) + len(more)
	for _, e := range []*eventlog.Event{event, link} {
		if e != nil {
			body += sizeField(fieldEventEvent, protowire.SizeBytes(w.size(e)))
		}
	}
	pool := mem.DefaultBufferPool()
	buffer := pool.Get(sizeField(fieldRespEvent, protowire.SizeBytes(body)))
	b := appendLength((*buffer)[:0], fieldRespEvent, body)
	if event != nil {
		b = w.append(appendLength(b, fieldEventEvent, w.size(event)), event)
	}
	if link != nil {
		b = w.append(appendLength(b, fieldEventLink, w.size(link)), link)
	}
	// In a oneof: sent whatever its value is.
	b = protowire.AppendTag(b, fieldEventCommitPosition, protowire.VarintType)
	b = protowire.AppendVarint(b, w.position)
	*buffer = append(b, more...)
	return encoded{mem.NewBuffer(buffer, pool)}
}

// eventWriter writes recorded events that share a position and a form of ids.
type eventWriter struct {
	position     uint64
	uuidAsString bool
}

// size is the length of an event's wire form.
func (w eventWriter) size(e *eventlog.Event) int {
	positions := 2 * sizeNumber(fieldRecordedCommitPosition, w.position)
	return sizeField(fieldRecordedID, protowire.SizeBytes(w.sizeID(e.ID))) +
		sizeField(fieldRecordedStream, protowire.SizeBytes(sizeField(fieldStreamName, protowire.SizeBytes(len(e.Stream))))) +
		sizeNumber(fieldRecordedRevision, uint64(e.Revision)) + positions +
		sizeEntry(keyType, len(e.Type)) + sizeEntry(keyContentType, len(contentType(e))) + sizeEntry(keyCreated, sizeDecimal(e.Created)) +
		sizeBytes(fieldRecordedCustomMetadata, len(e.Metadata)) + sizeBytes(fieldRecordedData, len(e.Data))
}

func (w eventWriter) append(b []byte, e *eventlog.Event) []byte {
	b = w.appendID(appendLength(b, fieldRecordedID, w.sizeID(e.ID)), e.ID)
	b = appendLength(b, fieldRecordedStream, sizeField(fieldStreamName, protowire.SizeBytes(len(e.Stream))))
	b = append(appendLength(b, fieldStreamName, len(e.Stream)), e.Stream...)
	b = appendNumber(b, fieldRecordedRevision, uint64(e.Revision))
	b = appendNumber(b, fieldRecordedPreparePosition, w.position)
	b = appendNumber(b, fieldRecordedCommitPosition, w.position)

	b = append(appendEntry(b, keyType, len(e.Type)), e.Type...)
	b = append(appendEntry(b, keyContentType, len(contentType(e))), contentType(e)...)
	b = strconv.AppendInt(appendEntry(b, keyCreated, sizeDecimal(e.Created)), e.Created, 10)

	if len(e.Metadata) > 0 {
		b = append(appendLength(b, fieldRecordedCustomMetadata, len(e.Metadata)), e.Metadata...)
	}
	if len(e.Data) > 0 {
		b = append(appendLength(b, fieldRecordedData, len(e.Data)), e.Data...)
	}
	return b
}

func contentType(e *eventlog.Event) string {
	if e.JSON {
		return contentJSON
	}
	return contentBinary
}

const uuidTextLength = 36

func (w eventWriter) sizeID(id uuid.UUID) int {
	if w.uuidAsString {
		return sizeField(fieldUUIDString, protowire.SizeBytes(uuidTextLength))
	}
	most, least := halves(id)
	return sizeField(fieldUUIDStructured, protowire.SizeBytes(sizeNumber(fieldUUIDMost, most)+sizeNumber(fieldUUIDLeast, least)))
}

func (w eventWriter) appendID(b []byte, id uuid.UUID) []byte {
	if w.uuidAsString {
		b = appendLength(b, fieldUUIDString, uuidTextLength)
		text := id.String()
		return append(b, text...)
	}
	most, least := halves(id)
	b = appendLength(b, fieldUUIDStructured, sizeNumber(fieldUUIDMost, most)+sizeNumber(fieldUUIDLeast, least))
	return appendNumber(appendNumber(b, fieldUUIDMost, most), fieldUUIDLeast, least)
}

// sizeField is the length of a field whose value, with its own length if it has one, takes so many bytes.
func sizeField(field protowire.Number, value int) int { return protowire.SizeTag(field) + value }

// Outside a oneof a field of its type's zero value is not sent.

func sizeNumber(field protowire.Number, n uint64) int {
	if n == 0 {
		return 0
	}
	return sizeField(field, protowire.SizeVarint(n))
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func sizeBytes(field protowire.Number, length int) int {
	if length == 0 {
		return 0
	}
	return sizeField(field, protowire.SizeBytes(length))
}

// appendLength begins a field of so many bytes.
func appendLength(b []byte, field protowire.Number, length int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(length))
}

// An entry of the metadata map is a message of a key and a value.

func sizeEntry(key string, value int) int {
	return sizeField(fieldRecordedMetadata, protowire.SizeBytes(entryLength(key, value)))
}

func entryLength(key string, value int) int {
	return sizeField(fieldMapKey, protowire.SizeBytes(len(key))) + sizeField(fieldMapValue, protowire.SizeBytes(value))
}

// appendEntry begins an entry whose value of so many bytes is to follow.
func appendEntry(b []byte, key string, value int) []byte {
	b = appendLength(b, fieldRecordedMetadata, entryLength(key, value))
	b = append(appendLength(b, fieldMapKey, len(key)), key...)
	return appendLength(b, fieldMapValue, value)
}

// sizeDecimal is how many characters a number has in decimal.
func sizeDecimal(n int64) int {
	var digits [20]byte
	return len(strconv.AppendInt(digits[:0], n, 10))
}
