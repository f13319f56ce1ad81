package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Event is one integration event: a CloudEvents 1.0 envelope and its data.
//
// Type doubles as the routing key and reads
// <service>.events.<name>.v<N>, or <service>.commands.<name>.v<N> for a command
// addressed to a service.
//
// Texts are UTF-8 without control characters. Those that identify, and the
// content type, have at most 255 bytes, the others 4,096.
type Event struct {
	// ID names the fact. The same fact always carries the same ID, however
	// often it is published, so consumers can recognise it.
	ID string
	// Source is /orderflow/<service>.
	Source string
	// Type is the wire name, and the routing key.
	Type string
	// Subject is the id of the aggregate the event is about. Events of one
	// subject are delivered in order as long as nothing fails.
	Subject string
	// Time is when the fact happened, UTC.
	Time time.Time
	// DataContentType is the media type of Data; empty means application/json,
	// and is delivered as that.
	DataContentType string
	// Data is the payload as published, never interpreted by the bus; at most
	// 16 MiB.
	Data []byte

	// CorrelationID is shared by everything that one request set in motion.
	CorrelationID string
	// CausationID is the id of the command or event that caused this one.
	CausationID string
	// TraceParent is the W3C trace context of the publisher, or empty.
	TraceParent string
	// Sequence is the revision of the publishing aggregate. It grows per
	// (Source, Subject) and is not dense: never wait for a gap to fill.
	Sequence int64
	// Replayed says that history is told again: the fact was announced before,
	// under the same ID, and this copy is for one consumer alone ([Sender]). What
	// must happen only when something is news asks for it.
	Replayed bool
}

// IsCommand reports whether the event is a command: something one service is
// asked to do. An event may be without a listener, a command may not.
func (e Event) IsCommand() bool {
	_, rest, ok := strings.Cut(e.Type, ".")
	return ok && strings.HasPrefix(rest, "commands.")
}

// ErrInvalidEvent says that an event lacks what CloudEvents 1.0 requires of it.
// It is returned before anything is published.
var ErrInvalidEvent = errors.New("invalid event")

// maxShortString is the AMQP 0-9-1 limit on routing keys and message ids. Both
// buses keep it, so that an event accepted by one is accepted by the other.
const maxShortString = 255

// maxLongString keeps all attributes together far below 128 KiB, the largest
// header of a message that brokers accept unless they are told otherwise. A
// broker closes the connection over a larger one, each time it is sent again.
const maxLongString = 4096

// maxData is the largest message that RabbitMQ takes from version 4.0 on unless
// it is told otherwise. It closes the channel over a larger one, each time it is
// sent again, and with it everything else that is on its way.
const maxData = 16 << 20

// Validate reports, wrapped in [ErrInvalidEvent], the first thing that would
// keep the event from being published on every bus. What is in Data is not
// looked at.
func (e Event) Validate() error {
	for _, field := range [...]struct {
		name, value string
		required    bool
		short       bool
	}{
		{AttributeID, e.ID, true, true},
		{AttributeSource, e.Source, true, true},
		{AttributeType, e.Type, true, true},
		{AttributeSubject, e.Subject, true, true},
		{AttributeDataContentType, e.DataContentType, false, true},
		{AttributeCorrelationID, e.CorrelationID, false, false},
		{AttributeCausationID, e.CausationID, false, false},
		{AttributeTraceParent, e.TraceParent, false, false},
	} {
		if field.required && field.value == "" {
			return fmt.Errorf("%w: no %s (id %q, type %q)", ErrInvalidEvent, field.name, e.ID, e.Type)
		}
		if field.short && len(field.value) > maxShortString {
			return fmt.Errorf("%w: %s longer than %d bytes (id %.60q)", ErrInvalidEvent, field.name, maxShortString, e.ID)
		}
		if len(field.value) > maxLongString {
			return fmt.Errorf("%w: %s longer than %d bytes (id %.60q)", ErrInvalidEvent, field.name, maxLongString, e.ID)
		}
		if problem := textProblem(field.value); problem != "" {
			return fmt.Errorf("%w: %s %s (id %.60q)", ErrInvalidEvent, field.name, problem, e.ID)
		}
	}
	if len(e.Data) > maxData {
		return fmt.Errorf("%w: data of %d bytes, more than %d (id %q)", ErrInvalidEvent, len(e.Data), maxData, e.ID)
	}
	if e.Time.IsZero() {
		return fmt.Errorf("%w: no time (id %q, type %q)", ErrInvalidEvent, e.ID, e.Type)
	}
	if year := e.Time.UTC().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("%w: year %d cannot be written in RFC 3339 (id %q)", ErrInvalidEvent, year, e.ID)
	}
	return nil
}

// Decode reads the data of an event whose content type is JSON: application/json,
// another that ends in /json or +json, or none, each with or without parameters
// such as charset, which mean nothing to JSON (RFC 8259, section 11). Fields that
// T does not name are ignored: contracts grow, and a consumer declares only what
// it reads.
func Decode[T any](e Event) (T, error) {
	var data T
	if ct := e.ContentType(); !isJSON(ct) {
		return data, fmt.Errorf("decode %s %s: content type %q is not JSON", e.Type, e.ID, ct)
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return data, fmt.Errorf("decode %s %s: %w", e.Type, e.ID, err)
	}
	return data, nil
}
