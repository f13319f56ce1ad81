package eventbustest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

// Raw is the same work done with the client library alone: the same safety
// (confirmed or synced to the disk, acknowledged by hand), nothing on top.
type Raw struct {
	// Prepare makes a durable queue for Publish to fill and Consume to empty.
	Prepare func(b *testing.B)
	// Publish stores the events, as fast as the client can, and returns when
	// all of them are safe.
	Publish func(b *testing.B, events []eventbus.Event)
	// Consume takes and acknowledges count events.
	Consume func(b *testing.B, count int)
}

const (
	benchRound = 5000 // events a round
	benchCall  = 1000 // events a call of Publish
)

// Benchmark measures bus and raw client in turn, within one run so that both
// see the same machine in the same state, and reports events per second of each
// and how much of the raw client's rate the bus reaches.
func Benchmark(b *testing.B, h Harness, raw Raw) {
	bus := h.Open(b)
	b.Cleanup(func() {
		if err := bus.Close(within(b)); err != nil {
			b.Errorf("close the bus: %v", err)
		}
	})
	queue := eventbus.Queue{Name: "bench", Patterns: []string{"order.#"}}
	declare(b, bus, queue)
	raw.Prepare(b)
	events := make([]eventbus.Event, benchRound)
	for n := range events {
		events[n] = placed(fmt.Sprint("o", n%100), n)
		events[n].Data = fmt.Appendf(nil, `{"padding":"%0500d"}`, n)
	}
	var published, consumed, rawPublished, rawConsumed time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		published += timed(func() {
			for from := 0; from < benchRound; from += benchCall {
				publish(b, bus, events[from:from+benchCall]...)
			}
		})
		rawPublished += timed(func() { raw.Publish(b, events) })
		consumed += timed(func() { drain(b, bus, queue) })
		rawConsumed += timed(func() { raw.Consume(b, benchRound) })
	}
	report := func(name string, bus, raw time.Duration) {
		total := float64(rounds * benchRound)
		b.ReportMetric(total/bus.Seconds(), name+"/s")
		b.ReportMetric(total/raw.Seconds(), "raw-"+name+"/s")
		b.ReportMetric(raw.Seconds()/bus.Seconds(), name+"-ratio")
	}
	report("publish", published, rawPublished)
	report("consume", consumed, rawConsumed)
	b.ReportMetric(0, "ns/op")
}

func timed(work func()) time.Duration {
	began := time.Now()
	work()
	return time.Since(began)
}

// drain consumes one round, acknowledgements included.
func drain(b *testing.B, bus eventbus.Bus, queue eventbus.Queue) {
	b.Helper()
	var count atomic.Int64
	all := make(chan struct{})
	s := subscribe(b, bus, queue, func(_ context.Context, batch []eventbus.Delivery) error {
		if count.Add(int64(len(batch))) == benchRound {
			close(all)
		}
		return nil
	})
	recv(b, "a round consumed", all)
	closeSubscription(b, s)
}
