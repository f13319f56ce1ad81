package facts

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/services/order/internal/domain"
)

// The events that tell of the facts.
const (
	PackedV1     = "packing.events.packed.v1"
	RejectedV1   = "packing.events.rejected.v1"
	DispatchedV1 = "dispatch.events.dispatched.v1"
)

// fact is what is read of every one of them.
type fact struct {
	OrderID    string    `json:"orderId"`
	OccurredAt time.Time `json:"occurredAt"`
}

type packed struct{ fact }

type rejected struct {
	fact
	Reason string `json:"reason"`
}

type dispatched struct{ fact }

// Register adds the handlers, which write to the streams of orders.
func Register(in *inbox.Inbox, orders *es.Repository[domain.Order, domain.Event]) {
	inbox.Do(in, PackedV1, func(ctx context.Context, e eventbus.Event, data packed) error {
		return record(ctx, orders, e, data.fact, func(o domain.Order, at time.Time) ([]domain.Event, error) { return o.Pack(at) })
	})
	inbox.Do(in, RejectedV1, func(ctx context.Context, e eventbus.Event, data rejected) error {
		return record(ctx, orders, e, data.fact, func(o domain.Order, at time.Time) ([]domain.Event, error) {
			return o.Reject(data.Reason, at)
		})
	})
	inbox.Do(in, DispatchedV1, func(ctx context.Context, e eventbus.Event, data dispatched) error {
		return record(ctx, orders, e, data.fact, func(o domain.Order, at time.Time) ([]domain.Event, error) { return o.Dispatch(at) })
	})
}

// record appends what the order makes of a fact. An order that is not there is
// an error and tried again: the fact may have come from a place that knows more
// than this event store does, such as one that was put back from a backup.
func record(
	ctx context.Context, orders *es.Repository[domain.Order, domain.Event], e eventbus.Event, told fact,
	decide func(domain.Order, time.Time) ([]domain.Event, error),
) error {
	id, err := uuid.Parse(told.OrderID)
	if err != nil {
		return inbox.Park(fmt.Errorf("order id %q: %w", told.OrderID, err))
	}
	if told.OccurredAt.IsZero() {
		return inbox.Park(fmt.Errorf("%s %s does not say when it happened", e.Type, e.ID))
	}
	at := told.OccurredAt.UTC()
	_, _, err = orders.Update(ctx, id, cause.Of(e), es.Precondition{}, func(o domain.Order) ([]domain.Event, error) {
		return decide(o, at)
	})
	return err
}
