package shipments

import (
	"errors"
	"time"
)

// Why a shipment cannot be dispatched.
var (
	// ErrUnknown says that no packed order with this id is known here (yet).
	ErrUnknown = errors.New("no shipment for this order")
	// ErrCancelled says that the order was cancelled before it left.
	ErrCancelled = errors.New("the order was cancelled")
	// ErrAddressUnknown says that the events which tell name and address of the
	// customer have not arrived yet. They are on their way.
	ErrAddressUnknown = errors.New("the address of the customer is not known yet")
	// ErrCustomerForgotten says that nobody knows any more where the order would
	// have to go. It can only be cancelled.
	ErrCustomerForgotten = errors.New("the customer is forgotten")
	// ErrAlreadyDispatched says that the order left by another carrier, or under
	// another tracking number.
	ErrAlreadyDispatched = errors.New("the order was dispatched already")
)

// Status is what the facts about a shipment amount to; the words are those of
// the API.
type Status string

// The statuses.
const (
	// StatusUnknown is that of a shipment whose order is not known to be packed.
	StatusUnknown    Status = ""
	StatusReady      Status = "ready"
	StatusDispatched Status = "dispatched"
	StatusCancelled  Status = "cancelled"
)

// Address is where to send things; the zero value is one that is not known.
type Address struct {
	Line1    string `json:"line1"`
	Line2    string `json:"line2,omitempty"`
	City     string `json:"city"`
	Postcode string `json:"postcode"`
	Country  string `json:"country" doc:"ISO 3166-1 alpha-2"`
}

// Shipment is everything known about sending one order. It is a plain value: its
// methods return what it becomes and count Version up by one when that is
// another one.
type Shipment struct {
	OrderID string
	// Version counts the changes, from 0; -1 is a shipment that has no row.
	Version int64

	// The order, as it was packed.
	CustomerID    string
	PackedAt      time.Time
	CorrelationID string // of the request that placed the order

	// What became of it; zero times are things that did not happen.
	CancelledAt    time.Time
	DispatchedAt   time.Time
	Carrier        string
	TrackingNumber string

	// Recipient and Address are the customer's as they are known now, or, once
	// dispatched, as they were then. Empty while nothing is known.
	Recipient string
	Address   Address
	// Forgotten says that the customer is, and that Recipient and Address are
	// empty for good.
	Forgotten bool

	// PackingSequence is the highest sequence of packing's events in this
	// shipment; -1 when there is none.
	PackingSequence int64
	// ChangedAt is when the row was written.
	ChangedAt time.Time
}

// unseen is the shipment of an order nobody has heard of.
func unseen(orderID string) Shipment {
	return Shipment{OrderID: orderID, Version: -1, PackingSequence: -1}
}

// Status weighs the facts: what left the house first, then the order's end.
func (s Shipment) Status() Status {
	switch {
	case s.PackedAt.IsZero():
		return StatusUnknown
	case !s.DispatchedAt.IsZero():
		return StatusDispatched
	case !s.CancelledAt.IsZero():
		return StatusCancelled
	default:
		return StatusReady
	}
}

// Ready notes that the order lies packed since at. An order is packed once.
func (s Shipment) Ready(customerID string, at time.Time, correlationID string, sequence int64) Shipment {
	if !s.PackedAt.IsZero() {
		return s
	}
	s.CustomerID, s.PackedAt, s.CorrelationID = customerID, at, correlationID
	s.PackingSequence = sequence
	s.Version++
	return s
}

// Cancel notes that the order was cancelled. Whether that still matters is for
// [Shipment.Status] to say.
func (s Shipment) Cancel(at time.Time) Shipment {
	if !s.CancelledAt.IsZero() {
		return s
	}
	s.CancelledAt = at
	s.Version++
	return s
}

// Dispatch says that the carrier has taken the order. Saying it again changes
// nothing; another carrier or number is a mistake: [ErrAlreadyDispatched].
// Recipient and address stay what they are from here on.
func (s Shipment) Dispatch(carrier, trackingNumber string, at time.Time) (Shipment, error) {
	switch s.Status() {
	case StatusUnknown:
		return s, ErrUnknown
	case StatusCancelled:
		return s, ErrCancelled
	case StatusDispatched:
		if s.Carrier == carrier && s.TrackingNumber == trackingNumber {
			return s, nil
		}
		return s, ErrAlreadyDispatched
	case StatusReady:
		if s.Forgotten {
			return s, ErrCustomerForgotten
		}
		if s.Recipient == "" || s.Address == (Address{}) {
			return s, ErrAddressUnknown
		}
		s.Carrier, s.TrackingNumber, s.DispatchedAt = carrier, trackingNumber, at
		s.Version++
	}
	return s, nil
}
