package eventbustest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

// Raw is the same work done with the client library alone: the same safety
// (confirmed or synced to the disk, acknowledged by hand), nothing on top. All
// its functions are called from one goroutine.
type Raw struct {
	// Prepare makes a durable queue for Publish to fill and Consume to empty.
	Prepare func(b *testing.B)
	// Publish stores the events, as fast as the client can, and returns when
	// all of them are safe.
	Publish func(b *testing.B, events []eventbus.Event)
	// PublishSingly stores the events one by one: each is safe before the next
	// one is begun.
	PublishSingly func(b *testing.B, events []eventbus.Event)
	// Consume takes and acknowledges count events.
	Consume func(b *testing.B, count int)
}

const (
	benchCall    = 1000 // events a call of Publish
	benchCallers = 256
)

// Benchmark measures the bus and the raw client in turns, within one run so
// that both see the same machine in the same state. It reports the events per
// second of each, and as ratio how much of the raw client's rate the bus
// reaches: the median of the rounds, so that a round that something else has
// disturbed does not count. Figures of two runs should not be compared; their
// ratios can be.
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
	r := rounds{drain: func(b *testing.B, events []eventbus.Event) {
		drain(b, bus, queue, len(events))
		raw.Consume(b, len(events))
	}}
	b.Run("PublishABatch", func(b *testing.B) {
		r.publishing(b, 10_000, raw.Publish, func(events []eventbus.Event) {
			for call := range slices.Chunk(events, benchCall) {
				publish(b, bus, call...)
			}
		})
	})
	b.Run("Publish256Callers", func(b *testing.B) {
		r.publishing(b, 10_000, raw.Publish, func(events []eventbus.Event) { publishFromMany(b, bus, events) })
	})
	b.Run("PublishOneCaller", func(b *testing.B) {
		r.publishing(b, 500, raw.PublishSingly, func(events []eventbus.Event) {
			for _, e := range events {
				publish(b, bus, e)
			}
		})
	})
	b.Run("Consume", func(b *testing.B) {
		const count = 20_000
		events := benchEvents(count)
		var m measured
		for b.Loop() {
			for call := range slices.Chunk(events, benchCall) {
				publish(b, bus, call...)
			}
			raw.Publish(b, events)
			m.inTurns(func() { drain(b, bus, queue, count) }, func() { raw.Consume(b, count) })
		}
		m.report(b, count)
	})
}

// rounds is what all benchmarks of publishing share.
type rounds struct {
	drain func(b *testing.B, events []eventbus.Event)
}

func (r rounds) publishing(b *testing.B, count int, raw func(*testing.B, []eventbus.Event), bus func([]eventbus.Event)) {
	b.Helper()
	events := benchEvents(count)
	var m measured
	for b.Loop() {
		m.inTurns(func() { bus(events) }, func() { raw(b, events) })
		r.drain(b, events)
	}
	m.report(b, count)
}

// publishFromMany has each of many callers wait for its own event before it
// takes the next one.
func publishFromMany(b *testing.B, bus eventbus.Bus, events []eventbus.Event) {
	b.Helper()
	var next atomic.Int64
	var running sync.WaitGroup
	ctx := within(b)
	for range benchCallers {
		running.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(len(events)) {
					return
				}
				if err := bus.Publish(ctx, events[n]); err != nil {
					b.Errorf("publish: %v", err)
					return
				}
			}
		})
	}
	running.Wait()
}

func benchEvents(count int) []eventbus.Event {
	events := make([]eventbus.Event, count)
	for n := range events {
		events[n] = placed(fmt.Sprint("o", n%100), n)
		events[n].Data = fmt.Appendf(nil, `{"padding":"%0498d"}`, n) // 512 bytes
	}
	return events
}

// measured are the times of the rounds.
type measured struct{ bus, raw []time.Duration }

// inTurns does both, in another order each time: whatever the first leaves
// behind is not always the second's to suffer from.
func (m *measured) inTurns(bus, raw func()) {
	if len(m.bus)%2 == 0 {
		m.bus = append(m.bus, timed(bus))
		m.raw = append(m.raw, timed(raw))
		return
	}
	m.raw = append(m.raw, timed(raw))
	m.bus = append(m.bus, timed(bus))
}

func (m *measured) report(b *testing.B, count int) {
	b.Helper()
	ratios := make([]float64, len(m.bus))
	for i := range ratios {
		ratios[i] = m.raw[i].Seconds() / m.bus[i].Seconds()
	}
	slices.Sort(ratios)
	perSecond := func(times []time.Duration) float64 {
		times = slices.Sorted(slices.Values(times))
		return float64(count) / times[len(times)/2].Seconds()
	}
	b.ReportMetric(perSecond(m.bus), "bus/s")
	b.ReportMetric(perSecond(m.raw), "raw/s")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(0, "ns/op")
}

func timed(work func()) time.Duration {
	began := time.Now()
	work()
	return time.Since(began)
}

// drain consumes so many events, acknowledgements included.
func drain(b *testing.B, bus eventbus.Bus, queue eventbus.Queue, events int) {
	b.Helper()
	var count atomic.Int64
	all := make(chan struct{})
	var once sync.Once
	s := subscribe(b, bus, queue, func(_ context.Context, batch []eventbus.Delivery) error {
		// Some may come a second time: an acknowledgement that a busy queue had not
		// taken yet is lost with the consumer of the round before.
		if count.Add(int64(len(batch))) >= int64(events) {
			once.Do(func() { close(all) })
		}
		return nil
	})
	recv(b, "all consumed", all)
	closeSubscription(b, s)
	if n := count.Load(); n > int64(events) {
		b.Logf("%d deliveries of %d events", n, events)
	}
}
