package announce

import (
	"context"
	"encoding/json"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// The integration events of this service.
const (
	PlacedV1    = "order.events.placed.v1"
	CancelledV1 = "order.events.cancelled.v1"
)

type money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type line struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice money  `json:"unitPrice"`
}

type placed struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	Lines      []line    `json:"lines"`
	Total      money     `json:"total"`
	OccurredAt time.Time `json:"occurredAt"`
}

type cancelled struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	Reason     string    `json:"reason"`
	By         string    `json:"by"`
	OccurredAt time.Time `json:"occurredAt"`
}

// Translate is the relay's function: pure, one committed event in, the events
// that announce it out.
func Translate(ctx context.Context, r es.Recorded) ([]eventbus.Event, error) {
	events, err := stored.Codec{}.Decode(ctx, r)
	if err != nil {
		return nil, err
	}
	var announced []eventbus.Event
	for _, event := range events {
		announcements, err := announce(r, event)
		if err != nil {
			return nil, err
		}
		announced = append(announced, announcements...)
	}
	return announced, nil
}

func announce(r es.Recorded, event domain.Event) ([]eventbus.Event, error) {
	orderID := r.AggregateID().String()
	switch e := event.(type) {
	case domain.Placed:
		lines := make([]line, len(e.Lines))
		for i, l := range e.Lines {
			lines[i] = line{l.SKU, l.Name, l.Quantity, money(l.UnitPrice)}
		}
		return announcement(r, PlacedV1, e.At, placed{orderID, e.CustomerID, lines, money(e.Total), e.At})
	case domain.Cancelled:
		return announcement(r, CancelledV1, e.At, cancelled{orderID, e.CustomerID, e.Reason, string(e.By), e.At})
	case domain.Packed, domain.Dispatched:
	}
	return nil, nil
}

func announcement(r es.Recorded, typ string, at time.Time, data any) ([]eventbus.Event, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	return []eventbus.Event{{
		ID:              cause.IntegrationID(r.ID, typ).String(),
		Source:          "/orderflow/order",
		Type:            typ,
		Subject:         r.AggregateID().String(),
		Time:            at,
		DataContentType: "application/json",
		Data:            text,
		CorrelationID:   r.Metadata.CorrelationID,
		CausationID:     r.ID.String(),
		TraceParent:     r.Metadata.TraceParent,
		Sequence:        int64(r.Revision),
	}}, nil
}
