package jobs

import (
	"errors"
	"time"
)

// Why a job cannot be packed or rejected.
var (
	// ErrUnknown says that no order with this id is known here (yet).
	ErrUnknown = errors.New("no job for this order")
	// ErrCancelled says that the order was cancelled before it was packed.
	ErrCancelled = errors.New("the order was cancelled")
	// ErrAlreadyPacked says that the box was packed already, perhaps by somebody else.
	ErrAlreadyPacked = errors.New("the order was packed already")
	// ErrRejected says that packing has refused the order already.
	ErrRejected = errors.New("the order was rejected")
	// ErrNotPacked says that there is nothing to put back.
	ErrNotPacked = errors.New("the order is not packed")
)

// Status is what the facts about a job amount to; the words are those of the API.
type Status string

// The statuses.
const (
	// StatusUnknown is that of a job whose order has not arrived.
	StatusUnknown   Status = ""
	StatusPending   Status = "pending"
	StatusPacked    Status = "packed"
	StatusRejected  Status = "rejected"
	StatusCancelled Status = "cancelled"
	StatusReturned  Status = "returned"
)

// Line is one product of an order, and how many of it go into the box.
type Line struct {
	SKU      string `json:"sku"`
	Name     string `json:"name"`
	Quantity int64  `json:"quantity"`
}

// Job is everything known about packing one order. It is a plain value: its
// methods return what it becomes and count Version up by one when that is
// another one.
type Job struct {
	OrderID string
	// Version counts the changes, from 0; -1 is a job that has no row.
	Version int64

	// The order, as it was placed.
	CustomerID    string
	Lines         []Line
	PlacedAt      time.Time
	CorrelationID string // of the request that placed the order

	// What became of it; zero times are things that did not happen.
	CancelledAt time.Time
	PackedAt    time.Time
	PackedBy    string
	RejectedAt  time.Time
	Reason      string
	// ReturnedAt is when the goods were put back, and DispatchedAt when the
	// carrier took them. Both are told at about the same time when the order was
	// cancelled as the carrier came.
	ReturnedAt   time.Time
	DispatchedAt time.Time

	// OrderSequence is the highest sequence of the order's events in this job.
	OrderSequence int64
	// ChangedAt is when the row was written.
	ChangedAt time.Time
}

// unseen is the job of an order nobody has heard of.
func unseen(orderID string) Job { return Job{OrderID: orderID, Version: -1, OrderSequence: -1} }

// Status weighs the facts: the work of people first, then the order's end. What
// has left the house is not in the shelf, whatever was said before.
func (j Job) Status() Status {
	switch {
	case j.PlacedAt.IsZero():
		return StatusUnknown
	case !j.PackedAt.IsZero() && !j.ReturnedAt.IsZero() && j.DispatchedAt.IsZero():
		return StatusReturned
	case !j.PackedAt.IsZero():
		return StatusPacked
	case !j.RejectedAt.IsZero():
		return StatusRejected
	case !j.CancelledAt.IsZero():
		return StatusCancelled
	default:
		return StatusPending
	}
}

// Place notes what was ordered, at, by whom. An order is placed once.
func (j Job) Place(customerID string, lines []Line, at time.Time, correlationID string, sequence int64) Job {
	if !j.PlacedAt.IsZero() {
		return j
	}
	j.CustomerID, j.Lines, j.PlacedAt, j.CorrelationID = customerID, lines, at, correlationID
	j.OrderSequence = max(j.OrderSequence, sequence)
	j.Version++
	return j
}

// Cancel notes that the order was cancelled. Whether that still matters is for
// [Job.Status] to say.
func (j Job) Cancel(at time.Time, sequence int64) Job {
	if !j.CancelledAt.IsZero() {
		return j
	}
	j.CancelledAt = at
	j.OrderSequence = max(j.OrderSequence, sequence)
	j.Version++
	return j
}

// Dispatch notes that the carrier has taken the box.
func (j Job) Dispatch(at time.Time) Job {
	if !j.DispatchedAt.IsZero() {
		return j
	}
	j.DispatchedAt = at
	j.Version++
	return j
}

// Return puts back what was packed: the order is cancelled. A box that has left
// stays where it is, and one that was put back stays there.
func (j Job) Return(at time.Time) (Job, error) {
	switch {
	case j.PackedAt.IsZero():
		return j, ErrNotPacked
	case !j.DispatchedAt.IsZero(), !j.ReturnedAt.IsZero():
		return j, nil
	}
	j.ReturnedAt = at
	j.Version++
	return j, nil
}

// Pack says that packedBy has packed the box. Saying it again changes nothing;
// when somebody else says it too, one of them is wrong: [ErrAlreadyPacked].
func (j Job) Pack(packedBy string, at time.Time) (Job, error) {
	switch j.Status() {
	case StatusUnknown:
		return j, ErrUnknown
	case StatusCancelled:
		return j, ErrCancelled
	case StatusRejected:
		return j, ErrRejected
	case StatusReturned:
		return j, ErrCancelled
	case StatusPacked:
		if j.PackedBy == packedBy {
			return j, nil
		}
		return j, ErrAlreadyPacked
	case StatusPending:
		j.PackedBy, j.PackedAt = packedBy, at
		j.Version++
	}
	return j, nil
}

// Reject says that the order cannot be packed, and why. Saying it again changes
// nothing; another reason comes too late: [ErrRejected].
func (j Job) Reject(reason string, at time.Time) (Job, error) {
	switch j.Status() {
	case StatusUnknown:
		return j, ErrUnknown
	case StatusCancelled:
		return j, ErrCancelled
	case StatusPacked, StatusReturned:
		return j, ErrAlreadyPacked
	case StatusRejected:
		if j.Reason == reason {
			return j, nil
		}
		return j, ErrRejected
	case StatusPending:
		j.Reason, j.RejectedAt = reason, at
		j.Version++
	}
	return j, nil
}
