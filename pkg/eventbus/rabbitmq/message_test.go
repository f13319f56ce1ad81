package rabbitmq

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

func event() eventbus.Event {
	return eventbus.Event{
		ID: "e1", Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: "o1",
		Time:            time.Date(2026, 11, 20, 1, 2, 3, 4, time.UTC),
		DataContentType: "application/json", Data: []byte("{}"),
		CorrelationID: "c1", CausationID: "k1", TraceParent: "00-a-b-01", Sequence: 7,
	}
}

func TestEnvelopeInBinaryMode(t *testing.T) {
	got := names{"ns"}.outgoing(event())
	want := outgoing{
		exchange: "ns.events", key: "order.events.placed.v1", subject: "o1",
		publishing: amqp.Publishing{
			Headers: amqp.Table{
				"ce-specversion": "1.0", "ce-id": "e1", "ce-source": "/orderflow/order", "ce-type": "order.events.placed.v1",
				"ce-subject": "o1", "ce-time": "2026-11-20T01:02:03.000000004Z", "ce-correlationid": "c1", "ce-causationid": "k1",
				"ce-sequence": "7", "traceparent": "00-a-b-01",
			},
			ContentType: "application/json", DeliveryMode: amqp.Persistent, CorrelationId: "c1", MessageId: "e1",
			Timestamp: event().Time, Type: "order.events.placed.v1", AppId: "/orderflow/order", Body: []byte("{}"),
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outgoing{})); diff != "" {
		t.Error(diff)
	}
	command := event()
	command.Type = "order.commands.cancel.v1"
	if got := (names{"ns"}).outgoing(command); got.exchange != "ns.commands" || !got.command {
		t.Errorf("a command goes to %q", got.exchange)
	}
}

func TestHeadersOfOtherClientsAreReadLeniently(t *testing.T) {
	d := amqp.Delivery{
		Headers: amqp.Table{
			"ce-specversion": "1.0", "ce-id": []byte("e1"), "ce-source": "/orderflow/order", "ce-subject": int64(12),
			"ce-time": event().Time, "ce-sequence": int32(7), "ce-extension": true, "x-death": []any{amqp.Table{"count": int64(1)}},
			"x-delivery-count": int64(3), "ce-correlationid": nil, "ce-causationid": amqp.Table{"not": "a text"},
		},
		RoutingKey: "order.events.placed.v1", CorrelationId: "c1", Redelivered: true,
	}
	want := eventbus.Delivery{
		Event: eventbus.Event{
			ID: "e1", Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: "12", Time: event().Time,
			DataContentType: "application/json", Sequence: 7, CorrelationID: "c1",
		},
		Redelivered: true,
	}
	if diff := cmp.Diff(want, incoming(d)); diff != "" {
		t.Error(diff)
	}
}

func TestMalformedMessagesKeepWhatCouldBeRead(t *testing.T) {
	for name, spoil := range map[string]func(*amqp.Delivery){
		"no headers":         func(d *amqp.Delivery) { d.Headers = nil },
		"another version":    func(d *amqp.Delivery) { d.Headers["ce-specversion"] = "0.3" },
		"no subject":         func(d *amqp.Delivery) { delete(d.Headers, "ce-subject") },
		"time is no time":    func(d *amqp.Delivery) { d.Headers["ce-time"] = "yesterday" },
		"sequence is a word": func(d *amqp.Delivery) { d.Headers["ce-sequence"] = "many" },
	} {
		p := names{"ns"}.outgoing(event()).publishing
		d := amqp.Delivery{Headers: p.Headers, MessageId: p.MessageId, Type: p.Type, ContentType: p.ContentType, Body: []byte("the body")}
		spoil(&d)
		got := incoming(d)
		if !errors.Is(got.Malformed, eventbus.ErrInvalidEvent) {
			t.Errorf("%s: malformed is %v", name, got.Malformed)
		}
		if got.Event.ID == "" || got.Event.ID == "e1" || string(got.Event.Data) != "the body" || got.Event.Type != event().Type {
			t.Errorf("%s: %+v", name, got.Event)
		}
		if again := incoming(d); again.Event.ID != got.Event.ID {
			t.Errorf("%s: the id changes with every delivery", name)
		}
	}
}

// The id of a malformed message is derived from what was read, and a message
// that gets another id with each delivery is never recognised as the same.
func TestAMessageThatSaysAThingTwiceIsAlwaysReadTheSameWay(t *testing.T) {
	d := amqp.Delivery{Headers: amqp.Table{
		"traceparent": "00-plain-b-01", "ce-traceparent": "00-prefixed-b-01", "ce-time": "yesterday", "ce-sequence": "many",
	}}
	want := incoming(d)
	if want.Event.TraceParent != "00-plain-b-01" {
		t.Errorf("traceparent is %q, want that of the plain header", want.Event.TraceParent)
	}
	for range 100 {
		if got := incoming(d); got.Event.ID != want.Event.ID || got.Malformed.Error() != want.Malformed.Error() {
			t.Fatalf("%s: %v, and now %s: %v", want.Event.ID, want.Malformed, got.Event.ID, got.Malformed)
		}
	}
}

func TestQueuesAreNamedAfterServices(t *testing.T) {
	for _, c := range []struct{ namespace, queue, want string }{
		{"orderflow", "packing", "packing"},
		{"orderflow", "packing.dead", "packing.dead"},
		{"orderflow", "unrouted", "orderflow.unrouted"},
		{"orderflow", "unrouted.dead", "orderflow.unrouted.dead"},
		{"test", "packing", "test.packing"},
		{"test", "unrouted", "test.unrouted"},
	} {
		if got := (names{c.namespace}).queue(c.queue); got != c.want {
			t.Errorf("queue %q of %q is %q, want %q", c.queue, c.namespace, got, c.want)
		}
	}
}

func TestThePasswordIsNeverShown(t *testing.T) {
	for _, url := range []string{"amqp://user:s3cret@host:5672/vhost", "amqp://user:s3cret@ho st", "amqp://us%er:s3cret@host"} {
		if got := redacted(url); strings.Contains(got, "s3cret") {
			t.Errorf("%s", got)
		}
	}
}

func TestVersionsAreCompared(t *testing.T) {
	for text, want := range map[string]bool{"3.9.29": false, "3.10.8": true, "3.13.0": true, "4.1.0": true, "": false, "garbage": false} {
		conn := &amqp.Connection{Properties: amqp.Table{"version": text}}
		if got := versionOf(conn).atLeast(3, 10); got != want {
			t.Errorf("%q is at least 3.10: %v, want %v", text, got, want)
		}
	}
}
