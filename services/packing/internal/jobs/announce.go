package jobs

import (
	"encoding/json"
	"fmt"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
)

// What packing tells the others. The names are part of stored history: they
// never follow a renaming in the code.
const (
	packedV1   = "packing.events.packed.v1"
	rejectedV1 = "packing.events.rejected.v1"
	returnedV1 = "packing.events.returned.v1"
)

const source = "/orderflow/packing"

type packedData struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	PackedBy   string    `json:"packedBy"`
	OccurredAt time.Time `json:"occurredAt"`
}

type rejectedData struct {
	OrderID    string    `json:"orderId"`
	Reason     string    `json:"reason"`
	OccurredAt time.Time `json:"occurredAt"`
}

type returnedData struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	OccurredAt time.Time `json:"occurredAt"`
}

func announcePacked(j Job, c cause.Cause) (eventbus.Event, error) {
	return announcement(j, c, packedV1, j.PackedAt,
		packedData{OrderID: j.OrderID, CustomerID: j.CustomerID, PackedBy: j.PackedBy, OccurredAt: j.PackedAt})
}

func announceRejected(j Job, c cause.Cause) (eventbus.Event, error) {
	return announcement(j, c, rejectedV1, j.RejectedAt,
		rejectedData{OrderID: j.OrderID, Reason: j.Reason, OccurredAt: j.RejectedAt})
}

func announceReturned(j Job, c cause.Cause) (eventbus.Event, error) {
	return announcement(j, c, returnedV1, j.ReturnedAt,
		returnedData{OrderID: j.OrderID, CustomerID: j.CustomerID, OccurredAt: j.ReturnedAt})
}

// announcement puts data into an envelope. The id is derived from the command,
// so the same fact has the same id however often it is announced. The
// correlation is the order's: whoever follows an order finds this, too.
func announcement(j Job, c cause.Cause, typ string, at time.Time, data any) (eventbus.Event, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return eventbus.Event{}, fmt.Errorf("encode %s of %s: %w", typ, j.OrderID, err)
	}
	return eventbus.Event{
		ID:              cause.IntegrationID(c.EventID("packing-"+j.OrderID, 0), typ).String(),
		Source:          source,
		Type:            typ,
		Subject:         j.OrderID,
		Time:            at,
		DataContentType: "application/json",
		Data:            text,
		CorrelationID:   j.CorrelationID,
		CausationID:     c.ID.String(),
		TraceParent:     c.TraceParent,
		Sequence:        j.Version,
	}, nil
}
