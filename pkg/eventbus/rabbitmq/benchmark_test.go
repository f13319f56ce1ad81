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
		Prepare: func(b *testing.B) { w.prepareRaw(b) },
		Publish: func(b *testing.B, events []eventbus.Event) {
			w.rawPublish(b, events, rabbitmqtest.Window, rabbitmqtest.Envelope)
		},
		PublishSingly: func(b *testing.B, events []eventbus.Event) { w.rawPublish(b, events, 1, rabbitmqtest.Envelope) },
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
		w.rawPublish(b, events, rabbitmqtest.Window, rabbitmqtest.Envelope)
		with += time.Since(began)
		began = time.Now()
		w.rawPublish(b, events, rabbitmqtest.Window, rabbitmqtest.Bare)
		without += time.Since(began)
		w.rawConsume(b, 2*len(events))
	}
	total := float64(rounds * len(events))
	b.ReportMetric(total/with.Seconds(), "envelope/s")
	b.ReportMetric(total/without.Seconds(), "bare/s")
	b.ReportMetric(without.Seconds()/with.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
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

func (w *world) rawPublish(b *testing.B, events []eventbus.Event, window int, message func(eventbus.Event) amqp.Publishing) {
	b.Helper()
	ch := w.channel(b)
	defer ch.Close()
	rabbitmqtest.Publish(b, ch, w.namespace+".events", rawType, events, window, message)
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
