package figures

import (
	"context"
	"fmt"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// What reporting reads.
const (
	customerCreated     = "customer.events.created.v1"
	customerDeactivated = "customer.events.deactivated.v1"
	customerForgotten   = "customer.events.forgotten.v1"
	priceChanged        = "catalog.events.price_changed.v1"
	orderPlaced         = "order.events.placed.v2"
	orderPlacedV1       = "order.events.placed.v1"
	orderCancelled      = "order.events.cancelled.v1"
	orderDelayed        = "order.events.delayed.v1"
	orderPacked         = "packing.events.packed.v1"
	orderReturned       = "packing.events.returned.v1"
	orderDispatched     = "dispatch.events.dispatched.v1"
)

// Money is an amount in minor units of an ISO 4217 currency.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type (
	// placed is what reporting reads of an order: not who ordered, nor what.
	placed struct {
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	}
	placedV1 struct {
		Total Money `json:"total"`
	}
	price struct {
		NewPrice Money `json:"newPrice"`
	}
	delayed struct {
		Stage string `json:"stage"`
	}
	// happened is all that reporting reads of the others.
	happened struct{}
)

// Listen registers what happens when the others tell something.
func (s *Store) Listen(in *inbox.Inbox) {
	inbox.On(in, orderPlaced, s.placed)
	// Until no order service from before v2 can run any more, and what it has said
	// is consumed, v1 may be all there is about an order. Both tell one fact, and
	// whichever comes second changes nothing. See docs/versions.md.
	inbox.On(in, orderPlacedV1, s.placedV1)
	inbox.On(in, orderPacked, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ happened) error {
		return s.note(ctx, tx, e, order{packedAt: sqldb.Micros(e.Time)})
	})
	inbox.On(in, orderDispatched, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ happened) error {
		return s.note(ctx, tx, e, order{dispatchedAt: sqldb.Micros(e.Time)})
	})
	inbox.On(in, orderCancelled, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ happened) error {
		return s.note(ctx, tx, e, order{cancelledAt: sqldb.Micros(e.Time)})
	})
	inbox.On(in, orderReturned, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ happened) error {
		return s.note(ctx, tx, e, order{returnedAt: sqldb.Micros(e.Time)})
	})
	inbox.On(in, orderDelayed, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data delayed) error {
		switch at := sqldb.Micros(e.Time); data.Stage {
		case "packing":
			return s.note(ctx, tx, e, order{packingDelayedAt: at})
		case "dispatch":
			return s.note(ctx, tx, e, order{dispatchDelayedAt: at})
		default:
			return inbox.Park(fmt.Errorf("delayed at an unknown stage %q", data.Stage))
		}
	})
	inbox.OnBatch(in, customerCreated, noteCreated)
	inbox.OnBatch(in, customerDeactivated, noteDeactivated)
	inbox.OnBatch(in, customerForgotten, func(_ context.Context, tx sqldb.Tx, batch []inbox.Item[happened]) error {
		noteForgotten(in, tx, batch)
		return nil
	})
	inbox.OnBatch(in, priceChanged, notePrices)
}

func (s *Store) placed(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data placed) error {
	return s.note(ctx, tx, e, order{placedAt: sqldb.Micros(e.Time), amount: data.Total, currency: data.Currency})
}

func (s *Store) placedV1(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data placedV1) error {
	return s.placed(ctx, tx, e, placed{data.Total.Amount, data.Total.Currency})
}
