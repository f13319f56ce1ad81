package letters

import "time"

// Kind is the matter of a letter. An order has at most one letter of each.
type Kind string

// The kinds of letters.
const (
	Confirmation Kind = "order-confirmation"
	Packed       Kind = "order-packed"
	Dispatched   Kind = "order-dispatched"
	Cancelled    Kind = "order-cancelled"

	PackingDelayed  Kind = "order-packing-delayed"
	DispatchDelayed Kind = "order-dispatch-delayed"
)

// Money is an amount in minor units of an ISO 4217 currency.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Line is one line of an order.
type Line struct {
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice Money  `json:"unitPrice"`
}

// Facts are what is known about an order and its customer. A time that is zero
// says that the matter has not happened, or is not known to have.
type Facts struct {
	OrderID      string
	CustomerName string

	PlacedAt time.Time
	Lines    []Line
	Total    Money

	PackedAt time.Time

	// PackingDelayedAt and DispatchDelayedAt are when it was noticed that the
	// order was not packed, or not dispatched, in time.
	PackingDelayedAt, DispatchDelayedAt time.Time

	DispatchedAt            time.Time
	Carrier, TrackingNumber string

	CancelledAt time.Time
	// CancelledBy is "customer", "packing" or "deadline".
	CancelledBy, CancelReason string
}

// Subject is the subject line of a letter about an order.
func Subject(kind Kind, orderID string) string {
	switch kind {
	case Confirmation:
		return "We have received your order " + orderID
	case Packed:
		return "Your order " + orderID + " is packed"
	case Dispatched:
		return "Your order " + orderID + " is on its way"
	case Cancelled:
		return "About the cancellation of your order " + orderID
	case PackingDelayed:
		return "Your order " + orderID + " takes longer than it should"
	case DispatchDelayed:
		return "Your order " + orderID + " leaves later than it should"
	default:
		return "About your order " + orderID
	}
}
