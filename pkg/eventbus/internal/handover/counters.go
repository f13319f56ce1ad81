package handover

import (
	"math"
	"sync/atomic"
	"time"

	"orderflow/pkg/eventbus"
)

// Counters are the figures of eventbus.Stats as they are counted. Safe for
// concurrent use; the zero value is ready.
type Counters struct {
	Published, UnknownOutcomes, Unroutable    atomic.Int64
	Delivered, Redelivered, Malformed         atomic.Int64
	Acknowledged, HandlerFailures, Reconnects atomic.Int64
	InFlight                                  atomic.Int64
	ConfirmTime, HandlerTime, Lag             Durations
}

// Durations is an eventbus.Histogram as it is counted.
type Durations struct {
	buckets [eventbus.HistogramBuckets]atomic.Int64
	seconds atomic.Uint64 // the bits of a float64
}

// Observe counts the duration as often as count says.
func (d *Durations) Observe(took time.Duration, count int) {
	took = max(0, took) // clocks may disagree
	d.buckets[eventbus.HistogramBucket(took)].Add(int64(count))
	for {
		before := d.seconds.Load()
		after := math.Float64frombits(before) + took.Seconds()*float64(count)
		if d.seconds.CompareAndSwap(before, math.Float64bits(after)) {
			return
		}
	}
}

// Histogram reads what was counted.
func (d *Durations) Histogram() (h eventbus.Histogram) {
	for bucket := range d.buckets {
		h.Buckets[bucket] = d.buckets[bucket].Load()
	}
	h.Seconds = math.Float64frombits(d.seconds.Load())
	return h
}

// handled notes how old the events of a batch were when it was done.
func (c *Counters) handled(batch []eventbus.Delivery) {
	now := time.Now()
	for i := range batch {
		if at := batch[i].Event.Time; !at.IsZero() {
			c.Lag.Observe(now.Sub(at), 1)
		}
	}
}

func (c *Counters) handed(batch []eventbus.Delivery) {
	var redelivered, malformed int64
	for _, delivery := range batch {
		if delivery.Redelivered {
			redelivered++
		}
		if delivery.Malformed != nil {
			malformed++
		}
	}
	c.Delivered.Add(int64(len(batch)))
	c.Redelivered.Add(redelivered)
	c.Malformed.Add(malformed)
}

// Stats reads all counters; whether and how long the broker blocks is for the
// bus to add.
func (c *Counters) Stats() eventbus.Stats {
	return eventbus.Stats{
		Published:       c.Published.Load(),
		UnknownOutcomes: c.UnknownOutcomes.Load(),
		Unroutable:      c.Unroutable.Load(),
		Delivered:       c.Delivered.Load(),
		Redelivered:     c.Redelivered.Load(),
		Malformed:       c.Malformed.Load(),
		Acknowledged:    c.Acknowledged.Load(),
		HandlerFailures: c.HandlerFailures.Load(),
		Reconnects:      c.Reconnects.Load(),
		InFlight:        c.InFlight.Load(),
		ConfirmTime:     c.ConfirmTime.Histogram(),
		HandlerTime:     c.HandlerTime.Histogram(),
		Lag:             c.Lag.Histogram(),
	}
}
