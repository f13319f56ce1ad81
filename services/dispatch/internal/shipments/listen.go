package shipments

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// What dispatch reads.
const (
	orderPacked            = "packing.events.packed.v1"
	orderCancelled         = "order.events.cancelled.v1"
	customerCreated        = "customer.events.created.v1"
	customerContactChanged = "customer.events.contact_changed.v1"
	customerAddressChanged = "customer.events.address_changed.v1"
	customerForgotten      = "customer.events.forgotten.v1"
)

// packed is what dispatch reads of a packed order.
type packed struct {
	CustomerID string `json:"customerId"`
}

// cancelled is what dispatch reads of a cancellation: that it happened.
type cancelled struct{}

// contact is what dispatch reads of a customer's contact: the name on the box.
type contact struct {
	Name string `json:"name"`
}

// residence is what dispatch reads of a customer's address.
type residence struct {
	Address Address `json:"address"`
}

// forgotten is what dispatch reads of a customer who is forgotten: that it
// happened.
type forgotten struct{}

// created is what dispatch reads of a new customer: both.
type created struct {
	contact
	residence
}

// Listen registers what happens when the others tell something. The handlers
// write facts, never statuses, so they end in the same rows in any order.
func (s *Store) Listen(in *inbox.Inbox) {
	inbox.On(in, orderPacked, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, order packed) error {
		if order.CustomerID == "" {
			return inbox.Park(errors.New("an order without a customer"))
		}
		return note(ctx, tx, e, func(s Shipment) Shipment {
			return s.Ready(order.CustomerID, e.Time, e.CorrelationID, e.Sequence)
		})
	})
	inbox.On(in, orderCancelled, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ cancelled) error {
		return note(ctx, tx, e, func(s Shipment) Shipment { return s.Cancel(e.Time) })
	})
	listenCustomers(in)
}

// listenCustomers registers what keeps the copies of customers.
func listenCustomers(in *inbox.Inbox) {
	inbox.On(in, customerCreated, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, customer created) error {
		if err := noteName(ctx, tx, e, customer.contact); err != nil {
			return err
		}
		return noteAddress(ctx, tx, e, customer.residence)
	})
	inbox.On(in, customerContactChanged, noteName)
	inbox.On(in, customerAddressChanged, noteAddress)
	inbox.On(in, customerForgotten, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, _ forgotten) error {
		in.Erase(tx, e.Subject)
		return noteForgotten(tx, e)
	})
}

// note adds a fact to the shipment of the order that the event is about.
func note(ctx context.Context, tx sqldb.Tx, e eventbus.Event, fact func(Shipment) Shipment) error {
	if err := subjectIsID(e); err != nil {
		return err
	}
	_, _, err := change(ctx, tx, e.Subject, func(s Shipment) (Shipment, error) { return fact(s), nil })
	return err
}

// subjectIsID leaves an event about nothing that could be an order or a customer
// to a person.
func subjectIsID(e eventbus.Event) error {
	if id, err := uuid.Parse(e.Subject); err != nil || id.String() != e.Subject {
		return inbox.Park(fmt.Errorf("subject %q is no id", e.Subject))
	}
	return nil
}
