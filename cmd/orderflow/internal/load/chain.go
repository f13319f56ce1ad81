package load

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/cmd/orderflow/internal/client"
)

// mostTraces is how many orders are looked at, spread evenly over all: so many that the 99th of a hundred is no accident.
const mostTraces = 1000

// chain asks the services what they have recorded of the orders: how long after its commit to the event store an order
// was handled in packing.
func (b *Bench) chain(ctx context.Context) ([]time.Duration, error) {
	step := max(1, len(b.sent)/mostTraces)
	took := make([]time.Duration, (len(b.sent)+step-1)/step)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range took {
		orderID := b.sent[i*step].orderID
		group.Go(func() error {
			committed, err := b.recorded(ctx, "order", orderID, "appended", "order-placed")
			if err != nil {
				return err
			}
			handled, err := b.recorded(ctx, "packing", orderID, "received", "order.events.placed.v1")
			took[i] = max(0, handled.Sub(committed))
			return err
		})
	}
	return took, group.Wait()
}

// recorded is when something happened to an order in a service; it is waited for.
func (b *Bench) recorded(ctx context.Context, service, orderID, kind, typ string) (at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	err = b.client.Eventually(ctx, fmt.Sprintf("%s of %s in %s", typ, orderID, service), func(ctx context.Context) error {
		items, err := b.client.Trace(ctx, service, orderID)
		if err != nil {
			return err
		}
		for _, item := range items {
			if item.Kind == kind && item.Type == typ {
				at = item.At
				return nil
			}
		}
		return client.ErrNotYet
	})
	return at, err
}
