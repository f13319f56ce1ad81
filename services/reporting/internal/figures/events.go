package figures

import (
	"context"
	"fmt"

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
	on(in, s, orderPlaced, wasPlaced)
	// Until no order service from before v2 can run any more, and what it has said
	// is consumed, v1 may be all there is about an order. Both tell one fact, and
	// whichever comes second changes nothing. See docs/versions.md.
	on(in, s, orderPlacedV1, wasPlacedV1)
	on(in, s, orderPacked, func(at int64, _ happened) (order, error) { return order{packedAt: at}, nil })
	on(in, s, orderDispatched, func(at int64, _ happened) (order, error) { return order{dispatchedAt: at}, nil })
	on(in, s, orderCancelled, func(at int64, _ happened) (order, error) { return order{cancelledAt: at}, nil })
	on(in, s, orderReturned, func(at int64, _ happened) (order, error) { return order{returnedAt: at}, nil })
	on(in, s, orderDelayed, func(at int64, data delayed) (order, error) {
		switch data.Stage {
		case "packing":
			return order{packingDelayedAt: at}, nil
		case "dispatch":
			return order{dispatchDelayedAt: at}, nil
		default:
			return order{}, inbox.Park(fmt.Errorf("delayed at an unknown stage %q", data.Stage))
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

func wasPlaced(at int64, data placed) (order, error) {
	return order{placedAt: at, amount: data.Total, currency: data.Currency}, nil
}

func wasPlacedV1(at int64, data placedV1) (order, error) {
	return wasPlaced(at, placed{data.Total.Amount, data.Total.Currency})
}

// on registers what events of one type, whose data is a T, tell about orders.
func on[T any](in *inbox.Inbox, s *Store, typ string, tells func(at int64, data T) (order, error)) {
	inbox.OnBatch(in, typ, func(ctx context.Context, tx sqldb.Tx, batch []inbox.Item[T]) error {
		facts := make([]fact, len(batch))
		for i, it := range batch {
			told, err := tells(sqldb.Micros(it.Event.Time), it.Data)
			if err != nil {
				return err
			}
			facts[i] = fact{it.Event, told}
		}
		return s.note(ctx, tx, facts)
	})
}
