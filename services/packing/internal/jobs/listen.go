package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// What packing reads.
const (
	orderPlaced    = "order.events.placed.v1"
	orderCancelled = "order.events.cancelled.v1"
	dispatched     = "dispatch.events.dispatched.v1"
	returnToStock  = "packing.commands.return_to_stock.v1"
)

// placed is what packing reads of an order: prices are none of its business.
type placed struct {
	CustomerID string `json:"customerId"`
	Lines      []Line `json:"lines"`
}

// happened is all that packing reads of the others: that they happened.
type happened struct{}

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
	inbox.On(in, orderCancelled, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ happened) error {
		return note(ctx, tx, e, func(j Job) Job { return j.Cancel(e.Time, e.Sequence) })
	})
	inbox.On(in, dispatched, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ happened) error {
		return note(ctx, tx, e, func(j Job) Job { return j.Dispatch(e.Time) })
	})
	inbox.On(in, returnToStock, s.returnToStock)
}

// note adds a fact to the job of the order that the event is about.
func note(ctx context.Context, tx sqldb.Tx, e eventbus.Event, fact func(Job) Job) error {
	if err := subjectIsID(e); err != nil {
		return err
	}
	_, _, err := change(ctx, tx, e.Subject, func(j Job) (Job, error) { return fact(j), nil })
	return err
}

// returnToStock carries out a command. Unlike an event it can be refused: for an
// order that is not packed it is tried again, and then left to a person.
func (s *Store) returnToStock(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ happened) error {
	if err := subjectIsID(e); err != nil {
		return err
	}
	before, after, err := change(ctx, tx, e.Subject, func(j Job) (Job, error) { return j.Return(e.Time) })
	if err != nil || after.Version == before.Version {
		return err
	}
	c := cause.Of(e)
	event, err := announceReturned(after, c)
	if err != nil {
		return err
	}
	return s.out.Add(ctx, tx, c, event)
}

// subjectIsID leaves an event about nothing that could be an order to a person.
func subjectIsID(e eventbus.Event) error {
	if id, err := uuid.Parse(e.Subject); err != nil || id.String() != e.Subject {
		return inbox.Park(fmt.Errorf("subject %q is not the id of an order", e.Subject))
	}
	return nil
}
