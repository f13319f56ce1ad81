package handover

import (
	"sync/atomic"

	"orderflow/pkg/eventbus"
)

// Counters are the figures of eventbus.Stats as they are counted. Safe for
// concurrent use; the zero value is ready.
type Counters struct {
	Published, UnknownOutcomes, Unroutable    atomic.Int64
	Delivered, Redelivered, Malformed         atomic.Int64
	Acknowledged, HandlerFailures, Reconnects atomic.Int64
	InFlight                                  atomic.Int64
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

// Stats reads all counters; whether the broker blocks is for the bus to add.
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
	}
}
