package shipments

import (
	"encoding/json"
	"fmt"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
)

// What dispatch tells the others. The name is part of stored history: it never
// follows a renaming in the code.
const dispatchedV1 = "dispatch.events.dispatched.v1"

const source = "/orderflow/dispatch"

// dispatchedData has no name and no address: no personal data travels with
// orders.
type dispatchedData struct {
	OrderID        string    `json:"orderId"`
	CustomerID     string    `json:"customerId"`
	Carrier        string    `json:"carrier"`
	TrackingNumber string    `json:"trackingNumber"`
	OccurredAt     time.Time `json:"occurredAt"`
}

// announceDispatched puts the news into an envelope. The id is derived from the
// command, so the same fact has the same id however often it is announced. The
// correlation is the order's: whoever follows an order finds this, too.
func announceDispatched(s Shipment, c cause.Cause) (eventbus.Event, error) {
	text, err := json.Marshal(dispatchedData{
		OrderID: s.OrderID, CustomerID: s.CustomerID,
		Carrier: s.Carrier, TrackingNumber: s.TrackingNumber, OccurredAt: s.DispatchedAt,
	})
	if err != nil {
		return eventbus.Event{}, fmt.Errorf("encode %s of %s: %w", dispatchedV1, s.OrderID, err)
	}
	return eventbus.Event{
		ID:              cause.IntegrationID(c.EventID("dispatch-"+s.OrderID, 0), dispatchedV1).String(),
		Source:          source,
		Type:            dispatchedV1,
		Subject:         s.OrderID,
		Time:            s.DispatchedAt,
		DataContentType: "application/json",
		Data:            text,
		CorrelationID:   s.CorrelationID,
		CausationID:     c.ID.String(),
		TraceParent:     c.TraceParent,
		Sequence:        s.Version,
	}, nil
}
