package announce

import (
	"fmt"
	"time"

	"orderflow/services/order/internal/fulfilment"
)

// What the processes of orders have to say.
const (
	DelayedV1       = "order.events.delayed.v1"
	ReturnToStockV1 = "packing.commands.return_to_stock.v1"
)

// FulfilmentSource is the source of what processes say. Their streams count
// their own revisions, so the sequences of an order and of its process must not
// be taken for one another: they are two sources with the same subject.
const FulfilmentSource = "/orderflow/fulfilment"

type delayed struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	Stage      string    `json:"stage"`
	DueAt      time.Time `json:"dueAt"`
	OccurredAt time.Time `json:"occurredAt"`
}

type returnToStock struct {
	OrderID    string    `json:"orderId"`
	Reason     string    `json:"reason"`
	OccurredAt time.Time `json:"occurredAt"`
}

// tellOfProcess announces an event of a process.
func (a *announcements) tellOfProcess(e fulfilment.Event) {
	orderID := a.of.AggregateID().String()
	switch e.Name {
	case fulfilment.Delayed:
		stage := fulfilment.StageOf(e.Missed.Kind)
		if stage == "" { // a newer release waits for something that this one has no word for
			a.err = fmt.Errorf("deadline %q: %w", e.Missed.Kind, fulfilment.ErrNotInTable)
			return
		}
		a.add(DelayedV1, e.At, delayed{orderID, e.CustomerID, stage, e.Missed.DueAt, e.At})
	case fulfilment.ReturnRequested:
		a.add(ReturnToStockV1, e.At, returnToStock{orderID, e.Reason, e.At})
	case fulfilment.Begun, fulfilment.Packed, fulfilment.Expired, fulfilment.Cancelled, fulfilment.Returned, fulfilment.Completed:
	}
}
