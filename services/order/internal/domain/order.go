package domain

import (
	"errors"
	"fmt"
	"time"
)

// The rules that can refuse a decision.
var (
	ErrNotPlaced         = errors.New("there is no such order")
	ErrAlreadyPlaced     = errors.New("the order is placed already")
	ErrAlreadyDispatched = errors.New("the order is on its way and cannot be cancelled")
	ErrNoLines           = errors.New("an order has at least one line")
)

// LineError says which line of an order breaks a rule.
type LineError struct {
	Line int // from 0
	Err  error
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the rule.
func (e LineError) Unwrap() error { return e.Err }

// The rules a line can break.
var (
	ErrQuantity        = errors.New("the quantity must be at least 1")
	ErrSameSKU         = errors.New("the same sku is in an earlier line")
	ErrMixedCurrencies = errors.New("its currency differs from that of an earlier line")
	ErrTotalTooLarge   = errors.New("the total of the order becomes too large")
)

// Status is how far an order has come.
type Status string

// The statuses. The zero value is an order that was never placed.
const (
	StatusUnknown    Status = ""
	StatusPlaced     Status = "placed"
	StatusPacked     Status = "packed"
	StatusDispatched Status = "dispatched"
	StatusCancelled  Status = "cancelled"
)

// Canceller is who cancelled an order.
type Canceller string

// Who can cancel an order.
const (
	ByCustomer Canceller = "customer"
	ByPacking  Canceller = "packing"
	ByDeadline Canceller = "deadline"
)

// Line is one product in an order, at the price it had when it was placed.
type Line struct {
	SKU       string
	Name      string
	Quantity  int64
	UnitPrice Money
}

// Order is the state of one order. Times that have not come are zero.
type Order struct {
	Status       Status
	CustomerID   string
	Lines        []Line
	Total        Money
	PlacedAt     time.Time
	PackedAt     time.Time
	DispatchedAt time.Time
	CancelledAt  time.Time
	CancelReason string
}

// Event is something that happened to an order.
//
//sumtype:decl
type Event interface{ event() }

// Placed opens the stream of every order.
type Placed struct {
	CustomerID string
	Lines      []Line
	Total      Money
	At         time.Time
}

// Packed says that the goods are in their parcel.
type Packed struct{ At time.Time }

// Dispatched says that the parcel has left the house.
type Dispatched struct{ At time.Time }

// Rejected says that packing cannot fulfil the order. It changes nothing by
// itself: what follows from it is told by the Cancelled behind it.
type Rejected struct {
	Reason string
	At     time.Time
}

// Cancelled says that the order is no longer to be fulfilled, by whose decision
// and why.
type Cancelled struct {
	CustomerID string
	Reason     string
	By         Canceller
	At         time.Time
}

func (Placed) event()     {}
func (Packed) event()     {}
func (Dispatched) event() {}
func (Rejected) event()   {}
func (Cancelled) event()  {}

// Place opens an order with priced lines.
func (o Order) Place(customerID string, lines []Line, now time.Time) ([]Event, error) {
	if o.Status != StatusUnknown {
		return nil, ErrAlreadyPlaced
	}
	total, err := totalOf(lines)
	if err != nil {
		return nil, err
	}
	return []Event{Placed{CustomerID: customerID, Lines: lines, Total: total, At: now}}, nil
}

// totalOf adds the lines up, and finds the first that breaks a rule.
func totalOf(lines []Line) (Money, error) {
	if len(lines) == 0 {
		return Money{}, ErrNoLines
	}
	total := Money{Currency: lines[0].UnitPrice.Currency}
	seen := map[string]bool{}
	for i, line := range lines {
		switch {
		case line.Quantity < 1:
			return Money{}, LineError{i, ErrQuantity}
		case seen[line.SKU]:
			return Money{}, LineError{i, ErrSameSKU}
		case line.UnitPrice.Currency != total.Currency:
			return Money{}, LineError{i, ErrMixedCurrencies}
		}
		seen[line.SKU] = true
		price, ok := line.UnitPrice.times(line.Quantity)
		if ok {
			total, ok = total.plus(price)
		}
		if !ok {
			return Money{}, LineError{i, ErrTotalTooLarge}
		}
	}
	return total, nil
}

// Cancel is the customer's decision, possible until the parcel has left.
func (o Order) Cancel(reason string, now time.Time) ([]Event, error) {
	switch o.Status {
	case StatusUnknown:
		return nil, ErrNotPlaced
	case StatusDispatched:
		return nil, ErrAlreadyDispatched
	case StatusCancelled:
		return nil, nil // cancelling twice is no error
	case StatusPlaced, StatusPacked:
	}
	return []Event{Cancelled{CustomerID: o.CustomerID, Reason: reason, By: ByCustomer, At: now}}, nil
}

// Pack takes down that packing has packed the order.
func (o Order) Pack(at time.Time) ([]Event, error) {
	if o.Status == StatusUnknown {
		return nil, ErrNotPlaced
	}
	if !o.PackedAt.IsZero() {
		return nil, nil
	}
	return []Event{Packed{At: at}}, nil
}

// Reject takes down that packing cannot fulfil the order, and cancels it for
// that.
func (o Order) Reject(reason string, at time.Time) ([]Event, error) {
	switch o.Status {
	case StatusUnknown:
		return nil, ErrNotPlaced
	case StatusDispatched, StatusCancelled:
		return nil, nil
	case StatusPlaced, StatusPacked:
	}
	return []Event{
		Rejected{Reason: reason, At: at},
		Cancelled{CustomerID: o.CustomerID, Reason: reason, By: ByPacking, At: at},
	}, nil
}

// Expire gives an order up because it waits where it did when a deadline passed
// too long ago: as placed, or as packed. One that has moved on meanwhile stays.
func (o Order) Expire(waitsAs Status, reason string, at time.Time) ([]Event, error) {
	switch o.Status {
	case StatusUnknown:
		return nil, ErrNotPlaced
	case StatusDispatched, StatusCancelled:
		return nil, nil
	case StatusPlaced, StatusPacked:
	}
	if o.Status != waitsAs {
		return nil, nil
	}
	return []Event{Cancelled{CustomerID: o.CustomerID, Reason: reason, By: ByDeadline, At: at}}, nil
}

// Dispatch takes down that the parcel has left the house.
func (o Order) Dispatch(at time.Time) ([]Event, error) {
	if o.Status == StatusUnknown {
		return nil, ErrNotPlaced
	}
	if !o.DispatchedAt.IsZero() {
		return nil, nil
	}
	return []Event{Dispatched{At: at}}, nil
}

// Apply returns the order after an event. It never fails: what has happened
// has happened.
func Apply(o Order, event Event) Order {
	switch e := event.(type) {
	case Placed:
		o.Status = StatusPlaced
		o.CustomerID, o.Lines, o.Total, o.PlacedAt = e.CustomerID, e.Lines, e.Total, e.At
	case Packed:
		o.PackedAt = e.At
		if o.Status == StatusPlaced {
			o.Status = StatusPacked
		}
	case Dispatched:
		o.DispatchedAt = e.At
		o.Status = StatusDispatched
	case Rejected:
	case Cancelled:
		o.CancelledAt, o.CancelReason = e.At, e.Reason
		if o.Status != StatusDispatched { // a physical fact wins, in whatever order the two are told
			o.Status = StatusCancelled
		}
	}
	return o
}
