package handover

import (
	"sync/atomic"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/histogram"
)

// Counters are the figures of eventbus.Stats as they are counted. Safe for
// concurrent use; the zero value is ready.
type Counters struct {
	Published, UnknownOutcomes, Unroutable    atomic.Int64
	Delivered, Redelivered, Malformed         atomic.Int64
	Acknowledged, HandlerFailures, Reconnects atomic.Int64
	InFlight                                  atomic.Int64
	ConfirmTime, HandlerTime, Lag             histogram.Recorder
}

// handled notes how old the events of a batch were when it was done.
func (c *Counters) handled(batch []eventbus.Delivery) {
	now := time.Now()
	for i := range batch {
		if at := batch[i].Event.Time; !at.IsZero() {
			c.Lag.Observe(now.Sub(at).Seconds(), 1)
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
		ConfirmTime:     c.ConfirmTime.Read(),
		HandlerTime:     c.HandlerTime.Read(),
		Lag:             c.Lag.Read(),
	}
}
