// Package rabbitmqtest publishes past the bus, so that benchmarks have something to
// compare it with.
package rabbitmqtest

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// Window is how many publishes without a confirm make amqp091-go as fast as it
// gets: see [Publish].
const Window = 1024

// Publish publishes with amqp091-go alone, as well as that can be done, and
// returns when everything is confirmed: what a bus, or something in front of
// one, is compared with. At most window publishes are unconfirmed. The channel is
// its own from then on; every event goes to exchange under the same key, as
// message has it.
func Publish(
	t testing.TB, ch *amqp.Channel, exchange, key string, events []eventbus.Event, window int,
	message func(eventbus.Event) amqp.Publishing,
) {
	t.Helper()
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	var waiting []*amqp.DeferredConfirmation
	settle := func(down int) {
		for len(waiting) > down {
			if !waiting[0].Wait() {
				t.Fatal("not confirmed")
			}
			waiting = waiting[1:]
		}
	}
	for _, e := range events {
		confirmation, err := ch.PublishWithDeferredConfirm(exchange, key, true, false, message(e))
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, confirmation)
		settle(window - 1)
	}
	settle(0)
}

// Bare is the body of an event without its envelope.
func Bare(e eventbus.Event) amqp.Publishing {
	return amqp.Publishing{ContentType: e.ContentType(), DeliveryMode: amqp.Persistent, MessageId: e.ID, Body: e.Data}
}

// Envelope is the message of an event as the bus writes it.
func Envelope(e eventbus.Event) amqp.Publishing {
	headers := amqp.Table{"ce-specversion": eventbus.SpecVersion}
	for name, value := range e.Attributes() {
		switch name {
		case eventbus.AttributeDataContentType:
		case eventbus.AttributeTraceParent:
			headers[name] = value
		default:
			headers["ce-"+name] = value
		}
	}
	p := Bare(e)
	p.Headers, p.CorrelationId, p.Type, p.AppId, p.Timestamp = headers, e.CorrelationID, e.Type, e.Source, e.Time
	return p
}
