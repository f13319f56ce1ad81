package eventbus

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// SpecVersion is the version of CloudEvents that the envelope follows.
const SpecVersion = "1.0"

// The names of the attributes of an event, as CloudEvents 1.0 and its
// extensions for tracing and sequence spell them.
const (
	AttributeID              = "id"
	AttributeSource          = "source"
	AttributeType            = "type"
	AttributeSubject         = "subject"
	AttributeTime            = "time"
	AttributeDataContentType = "datacontenttype"
	AttributeCorrelationID   = "correlationid"
	AttributeCausationID     = "causationid"
	AttributeTraceParent     = "traceparent"
	AttributeSequence        = "sequence"
	// AttributeReplay is an extension of our own: "true" on an event that is
	// delivered again as history, absent on all others.
	AttributeReplay = "orderflowreplay"
)

const replayed = "true"

// ContentType is the media type of the data, with the default filled in.
// Every bus delivers it filled in.
func (e Event) ContentType() string {
	if e.DataContentType == "" {
		return "application/json"
	}
	return e.DataContentType
}

// Attributes yields the attributes in their canonical text form, those without
// a value left out, the data and specversion not included. It is the one place
// that says how an envelope is written down, whichever bus carries it.
//
// Times are RFC 3339 in UTC with nanoseconds. The sequence is text, as the
// CloudEvents extension of that name has it: a CloudEvents Integer has 32 bits.
func (e Event) Attributes() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		replay := ""
		if e.Replayed {
			replay = replayed
		}
		for _, attribute := range [...]struct{ name, value string }{
			{AttributeID, e.ID},
			{AttributeSource, e.Source},
			{AttributeType, e.Type},
			{AttributeSubject, e.Subject},
			{AttributeTime, FormatTime(e.Time)},
			{AttributeDataContentType, e.ContentType()},
			{AttributeCorrelationID, e.CorrelationID},
			{AttributeCausationID, e.CausationID},
			{AttributeTraceParent, e.TraceParent},
			{AttributeSequence, strconv.FormatInt(e.Sequence, 10)},
			{AttributeReplay, replay},
		} {
			if attribute.value != "" && !yield(attribute.name, attribute.value) {
				return
			}
		}
	}
}

// SetAttribute reads one attribute from its text form. An attribute that the
// envelope does not know is ignored: publishers may add extensions.
func (e *Event) SetAttribute(name, value string) error {
	switch name {
	case AttributeID:
		e.ID = value
	case AttributeSource:
		e.Source = value
	case AttributeType:
		e.Type = value
	case AttributeSubject:
		e.Subject = value
	case AttributeTime:
		at, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("%w: time %.60q is not RFC 3339", ErrInvalidEvent, value)
		}
		e.Time = at.UTC()
	case AttributeDataContentType:
		e.DataContentType = value
	case AttributeCorrelationID:
		e.CorrelationID = value
	case AttributeCausationID:
		e.CausationID = value
	case AttributeTraceParent:
		e.TraceParent = value
	case AttributeSequence:
		sequence, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: sequence %.60q is not a 64-bit number", ErrInvalidEvent, value)
		}
		e.Sequence = sequence
	case AttributeReplay:
		e.Replayed = value == replayed
	}
	return nil
}

// FormatTime writes a time the way the envelope carries it: RFC 3339, UTC,
// nanoseconds. The zero time is the empty string.
func FormatTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// textProblem says why a text cannot be a CloudEvents String, or nothing.
func textProblem(text string) string {
	if !utf8.ValidString(text) {
		return "is not UTF-8"
	}
	if strings.IndexFunc(text, unicode.IsControl) >= 0 {
		return "has a control character"
	}
	return ""
}
