package story

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/letters"
)

// What crm reads.
const (
	customerCreated        = "customer.events.created.v1"
	customerContactChanged = "customer.events.contact_changed.v1"
	customerAddressChanged = "customer.events.address_changed.v1"
	customerDeactivated    = "customer.events.deactivated.v1"
	customerForgotten      = "customer.events.forgotten.v1"
	orderPlaced            = "order.events.placed.v1"
	orderCancelled         = "order.events.cancelled.v1"
	orderDelayed           = "order.events.delayed.v1"
	orderPacked            = "packing.events.packed.v1"
	orderDispatched        = "dispatch.events.dispatched.v1"
)

type (
	created struct {
		Name    string          `json:"name"`
		Email   string          `json:"email"`
		Address json.RawMessage `json:"address"`
	}
	contactChanged struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	addressChanged struct {
		Address json.RawMessage `json:"address"`
	}
	deactivated struct {
		Reason string `json:"reason"`
	}
	// gone is what crm reads of a customer who is forgotten: that it happened.
	gone   struct{}
	placed struct {
		CustomerID string         `json:"customerId"`
		Lines      []letters.Line `json:"lines"`
		Total      letters.Money  `json:"total"`
	}
	cancelled struct {
		CustomerID string `json:"customerId"`
		Reason     string `json:"reason"`
		By         string `json:"by"`
	}
	delayed struct {
		CustomerID string `json:"customerId"`
		Stage      string `json:"stage"`
	}
	packed struct {
		CustomerID string `json:"customerId"`
	}
	dispatched struct {
		CustomerID     string `json:"customerId"`
		Carrier        string `json:"carrier"`
		TrackingNumber string `json:"trackingNumber"`
	}
)

// Listen registers what happens when the others tell something. The handlers
// only queue statements: a batch of a hundred events is sent in one piece.
func (s *Store) Listen(in *inbox.Inbox) {
	inbox.On(in, customerCreated, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data created) error {
		return s.noteCustomer(tx, e, customer{
			registeredAt: sqldb.Micros(e.Time), name: data.Name, email: data.Email, contactSequence: e.Sequence,
			address: string(data.Address), addressSequence: e.Sequence,
		})
	})
	inbox.On(in, customerContactChanged, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data contactChanged) error {
		return s.noteCustomer(tx, e, customer{
			name: data.Name, email: data.Email, contactSequence: e.Sequence, addressSequence: never,
		})
	})
	inbox.On(in, customerAddressChanged, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data addressChanged) error {
		return s.noteCustomer(tx, e, customer{
			contactSequence: never, address: string(data.Address), addressSequence: e.Sequence,
		})
	})
	inbox.On(in, customerDeactivated, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data deactivated) error {
		return s.noteCustomer(tx, e, customer{
			contactSequence: never, addressSequence: never, deactivatedAt: sqldb.Micros(e.Time), deactivationReason: data.Reason,
		})
	})
	inbox.On(in, customerForgotten, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, _ gone) error {
		in.Erase(tx, e.Subject)
		return s.forget(tx, e)
	})
	inbox.On(in, orderPlaced, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data placed) error {
		lines, err := json.Marshal(data.Lines)
		if err != nil {
			return fmt.Errorf("lines of order %s: %w", e.Subject, err)
		}
		return s.noteOrder(tx, e, letters.Confirmation, order{
			customerID: data.CustomerID, placedAt: sqldb.Micros(e.Time), total: data.Total, lines: string(lines), sequence: e.Sequence,
		})
	})
	inbox.On(in, orderCancelled, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data cancelled) error {
		return s.noteOrder(tx, e, letters.Cancelled, order{
			customerID: data.CustomerID, cancelledAt: sqldb.Micros(e.Time), cancelledBy: data.By, cancelReason: data.Reason, sequence: e.Sequence,
		})
	})
	// The process of an order counts its own events: their sequence is not the order's.
	inbox.On(in, orderDelayed, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data delayed) error {
		switch at := sqldb.Micros(e.Time); data.Stage {
		case "packing":
			return s.noteOrder(tx, e, letters.PackingDelayed, order{customerID: data.CustomerID, packingDelayedAt: at, sequence: never})
		case "dispatch":
			return s.noteOrder(tx, e, letters.DispatchDelayed, order{customerID: data.CustomerID, dispatchDelayedAt: at, sequence: never})
		default:
			return inbox.Park(fmt.Errorf("delayed at an unknown stage %q", data.Stage))
		}
	})
	inbox.On(in, orderPacked, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data packed) error {
		return s.noteOrder(tx, e, letters.Packed, order{
			customerID: data.CustomerID, packedAt: sqldb.Micros(e.Time), sequence: never,
		})
	})
	inbox.On(in, orderDispatched, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data dispatched) error {
		return s.noteOrder(tx, e, letters.Dispatched, order{
			customerID: data.CustomerID, dispatchedAt: sqldb.Micros(e.Time),
			carrier: data.Carrier, trackingNumber: data.TrackingNumber, sequence: never,
		})
	})
}

// identified refuses what is about nothing that could be found again; a person
// has to look at it.
func identified(what, id string) error {
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return inbox.Park(fmt.Errorf("%q is not the id of %s", id, what))
	}
	return nil
}
