package handover

import (
	"context"
	"errors"
	"time"

	"orderflow/pkg/eventbus"
)

// Observed is the handler h with what it is given and what comes of it counted,
// for a bus that hands over through another one.
func (c *Counters) Observed(h eventbus.Handler) eventbus.Handler {
	return func(ctx context.Context, batch []eventbus.Delivery) error {
		c.handed(batch)
		began, done := time.Now(), false
		defer func() {
			c.HandlerTime.Observe(time.Since(began).Seconds(), 1)
			if !done { // failed or panicked
				c.HandlerFailures.Add(1)
			}
		}()
		err := h(ctx, batch)
		if err != nil && !errors.Is(err, eventbus.ErrMalformed) {
			return err
		}
		done = true
		c.handled(batch)
		c.Acknowledged.Add(int64(len(batch)))
		return err
	}
}
