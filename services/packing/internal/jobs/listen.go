package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// What packing reads.
const (
	orderPlaced    = "order.events.placed.v1"
	orderCancelled = "order.events.cancelled.v1"
)

// placed is what packing reads of an order: prices are none of its business.
type placed struct {
	CustomerID string `json:"customerId"`
	Lines      []Line `json:"lines"`
}

// cancelled is what packing reads of a cancellation: that it happened.
type cancelled struct{}

// Listen registers what happens when the others tell something. The handlers
// write facts, never statuses, so they end in the same row in any order.
func (s *Store) Listen(in *inbox.Inbox) {
	inbox.On(in, orderPlaced, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, order placed) error {
		if order.CustomerID == "" || len(order.Lines) == 0 {
			return inbox.Park(errors.New("an order without a customer or without lines"))
		}
		return note(ctx, tx, e, func(j Job) Job {
			return j.Place(order.CustomerID, order.Lines, e.Time, e.CorrelationID, e.Sequence)
		})
	})
	inbox.On(in, orderCancelled, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ cancelled) error {
		return note(ctx, tx, e, func(j Job) Job { return j.Cancel(e.Time, e.Sequence) })
	})
}

// note adds a fact to the job of the order that the event is about. An event
// about nothing that could be an order is left to a person.
func note(ctx context.Context, tx sqldb.Tx, e eventbus.Event, fact func(Job) Job) error {
	if id, err := uuid.Parse(e.Subject); err != nil || id.String() != e.Subject {
		return inbox.Park(fmt.Errorf("subject %q is not the id of an order", e.Subject))
	}
	_, _, err := change(ctx, tx, e.Subject, func(j Job) (Job, error) { return fact(j), nil })
	return err
}
