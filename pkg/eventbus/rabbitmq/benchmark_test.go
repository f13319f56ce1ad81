package rabbitmq_test

import (
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/eventbustest"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
)

// BenchmarkBus compares with amqp091-go used as well as it can be: one channel,
// 1,024 unconfirmed publishes through the same exchange into a quorum queue, or
// one at a time; 500 deliveries in advance, and one acknowledgement for fifty.
// Both send the same message, envelope included: see BenchmarkEnvelope.
func BenchmarkBus(b *testing.B) {
	requireBroker(b)
	w := newWorld(b)
	h := w.harness()
	// The proxy would be what is measured.
	w.url = rabbitmqtest.Address()
	eventbustest.Benchmark(b, h, eventbustest.Raw{
		Prepare:       func(b *testing.B) { w.prepareRaw(b) },
		Publish:       func(b *testing.B, events []eventbus.Event) { w.rawPublish(b, events, 1024, envelope) },
		PublishSingly: func(b *testing.B, events []eventbus.Event) { w.rawPublish(b, events, 1, envelope) },
		Consume:       func(b *testing.B, count int) { w.rawConsume(b, count) },
	})
}

// BenchmarkEnvelope measures what the envelope costs the broker, in which it is
// ten headers and five properties, by the raw client without and with it.
func BenchmarkEnvelope(b *testing.B) {
	requireBroker(b)
	w := newWorld(b)
	bus := w.open(b)
	defer bus.Close(within(b))
	if err := bus.Publish(within(b), placed(0)); err != nil { // to have the exchanges
		b.Fatal(err)
	}
	w.prepareRaw(b)
	events := make([]eventbus.Event, 10_000)
	for n := range events {
		events[n] = placed(n)
		events[n].Data = fmt.Appendf(nil, `{"padding":"%0498d"}`, n) // 512 bytes
	}
	var with, without time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		began := time.Now()
		w.rawPublish(b, events, 1024, envelope)
		with += time.Since(began)
		began = time.Now()
		w.rawPublish(b, events, 1024, bare)
		without += time.Since(began)
		w.rawConsume(b, 2*len(events))
	}
	total := float64(rounds * len(events))
	b.ReportMetric(total/with.Seconds(), "envelope/s")
	b.ReportMetric(total/without.Seconds(), "bare/s")
	b.ReportMetric(without.Seconds()/with.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

func bare(e eventbus.Event) amqp.Publishing {
	return amqp.Publishing{ContentType: e.ContentType(), DeliveryMode: amqp.Persistent, MessageId: e.ID, Body: e.Data}
}

// envelope is the message as the bus writes it.
func envelope(e eventbus.Event) amqp.Publishing {
	headers := amqp.Table{"ce-specversion": eventbus.SpecVersion}
	for name, value := range e.Attributes() {
		if name != eventbus.AttributeDataContentType {
			headers["ce-"+name] = value
		}
	}
	p := bare(e)
	p.Headers, p.Type, p.AppId, p.Timestamp = headers, e.Type, e.Source, e.Time
	return p
}

const rawType = "raw.events.placed.v1"

func (w *world) prepareRaw(b *testing.B) {
	b.Helper()
	w.note("raw")
	ch := w.channel(b)
	defer ch.Close()
	if _, err := ch.QueueDeclare(w.namespace+".raw", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		b.Fatal(err)
	}
	if err := ch.QueueBind(w.namespace+".raw", "raw.#", w.namespace+".events", false, nil); err != nil {
		b.Fatal(err)
	}
}

// rawPublish keeps at most window publishes unconfirmed.
func (w *world) rawPublish(b *testing.B, events []eventbus.Event, window int, message func(eventbus.Event) amqp.Publishing) {
	b.Helper()
	ch := w.channel(b)
	defer ch.Close()
	if err := ch.Confirm(false); err != nil {
		b.Fatal(err)
	}
	var waiting []*amqp.DeferredConfirmation
	settle := func(down int) {
		for len(waiting) > down {
			if !waiting[0].Wait() {
				b.Fatal("not confirmed")
			}
			waiting = waiting[1:]
		}
	}
	for _, e := range events {
		confirmation, err := ch.PublishWithDeferredConfirm(w.namespace+".events", rawType, true, false, message(e))
		if err != nil {
			b.Fatal(err)
		}
		waiting = append(waiting, confirmation)
		settle(window - 1)
	}
	settle(0)
}

func (w *world) rawConsume(b *testing.B, count int) {
	b.Helper()
	ch := w.channel(b)
	defer ch.Close()
	if err := ch.Qos(500, 0, false); err != nil {
		b.Fatal(err)
	}
	deliveries, err := ch.Consume(w.namespace+".raw", "", false, false, false, false, nil)
	if err != nil {
		b.Fatal(err)
	}
	for n := 1; n <= count; n++ {
		d := <-deliveries
		if n%50 == 0 {
			if err := ch.Ack(d.DeliveryTag, true); err != nil {
				b.Fatal(err)
			}
		}
	}
}
