package rabbitmq

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// Envelopes travel in the binary mode of the RabbitMQ protocol binding for
// CloudEvents that Knative drafted for AMQP 0-9-1: attributes are headers with
// this prefix, the data is the body, its media type the content-type.
// traceparent is a plain header, as W3C Trace Context has it in HTTP.
const (
	prefix            = "ce-"
	headerSpecVersion = prefix + "specversion"

	mostHeaders = 12 // of the bus's own
)

// outgoing writes an event down. Besides the envelope it fills the standard
// properties, for people and tools that know AMQP but not CloudEvents.
func (n names) outgoing(e eventbus.Event) outgoing {
	headers := make(amqp.Table, mostHeaders)
	headers[headerSpecVersion] = eventbus.SpecVersion
	for name, value := range e.Attributes() {
		switch name {
		case eventbus.AttributeDataContentType:
		case eventbus.AttributeTraceParent:
			headers[name] = value
		default:
			headers[prefix+name] = value
		}
	}
	correlation := e.CorrelationID
	if len(correlation) > 255 {
		correlation = "" // the header has it in full
	}
	return outgoing{
		exchange: n.exchange(e),
		key:      e.Type,
		subject:  e.Subject,
		command:  e.IsCommand(),
		publishing: amqp.Publishing{
			Headers:       headers,
			ContentType:   e.ContentType(),
			DeliveryMode:  amqp.Persistent,
			CorrelationId: correlation,
			MessageId:     e.ID,
			Timestamp:     e.Time,
			Type:          e.Type,
			AppId:         e.Source,
			Body:          e.Data,
		},
	}
}

// incoming reads a message leniently: headers may be of any scalar type, the
// standard properties stand in for what is missing in them. What is no valid
// envelope then is a malformed delivery with everything that could be read.
func incoming(d amqp.Delivery) eventbus.Delivery {
	e := eventbus.Event{
		ID:              d.MessageId,
		Source:          d.AppId,
		Type:            d.Type,
		DataContentType: d.ContentType,
		CorrelationID:   d.CorrelationId,
	}
	if e.Type == "" {
		e.Type = d.RoutingKey
	}
	if len(d.Body) > 0 {
		e.Data = d.Body
	}
	var problem error
	var where string // the header that is the problem: of several the first in the alphabet
	set := func(header, name string) {
		if text, ok := scalar(d.Headers[header]); ok {
			if err := e.SetAttribute(name, text); err != nil && (problem == nil || header < where) {
				problem, where = err, header
			}
		}
	}
	for header := range d.Headers {
		if name, ok := strings.CutPrefix(header, prefix); ok {
			set(header, name)
		}
	}
	set(eventbus.AttributeTraceParent, eventbus.AttributeTraceParent) // has the last word over ce-traceparent
	if e.DataContentType == "" {
		e.DataContentType = e.ContentType()
	}
	if version, _ := scalar(d.Headers[headerSpecVersion]); version != eventbus.SpecVersion && problem == nil {
		problem = fmt.Errorf("%w: header %s is %.20q, want %q", eventbus.ErrInvalidEvent, headerSpecVersion, version, eventbus.SpecVersion)
	}
	if problem == nil {
		problem = e.Validate()
	}
	delivery := eventbus.Delivery{Event: e}
	if problem != nil {
		delivery = eventbus.SetAside(e, problem)
	}
	delivery.Redelivered = d.Redelivered
	return delivery
}

// scalar is the text of a header, whichever type its publisher gave it.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return eventbus.FormatTime(v), true
	case int8, int16, int32, int64, int, uint8, uint16, uint32, uint64, float32, float64:
		return fmt.Sprint(v), true
	}
	return "", false
}
