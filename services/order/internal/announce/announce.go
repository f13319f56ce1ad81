package announce

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/fulfilment"
	"orderflow/services/order/internal/stored"
)

// The integration events of this service.
const (
	PlacedV1    = "order.events.placed.v1"
	PlacedV2    = "order.events.placed.v2"
	CancelledV1 = "order.events.cancelled.v1"
)

type cancelled struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	Reason     string    `json:"reason"`
	By         string    `json:"by"`
	OccurredAt time.Time `json:"occurredAt"`
}

// Source is the source of what orders say.
const Source = "/orderflow/order"

// Translate is the relay's function: pure, one committed event in, the events
// that announce it out.
func Translate(ctx context.Context, r es.Recorded) ([]eventbus.Event, error) {
	if strings.HasPrefix(r.Stream, fulfilment.Category+"-") {
		return translate(ctx, r, FulfilmentSource, fulfilment.Codec{}, (*announcements).tellOfProcess)
	}
	return translate(ctx, r, Source, stored.Codec{}, (*announcements).tell)
}

func translate[E any](
	ctx context.Context, r es.Recorded, source string, codec es.Codec[E], tell func(*announcements, E),
) ([]eventbus.Event, error) {
	events, err := codec.Decode(ctx, r)
	if err != nil {
		return nil, err
	}
	a := announcements{of: r, source: source}
	for _, event := range events {
		tell(&a, event)
	}
	return a.events, a.err
}

// announcements collects what announces one committed event. Their ids come from
// that event and their types, so no type may be in it twice.
type announcements struct {
	of     es.Recorded
	source string
	events []eventbus.Event
	err    error // the first
}

// tell announces an event. Both versions of placed go out, the older one first:
// a reader that moves to v2 binds that before it unbinds v1, and so gets at least
// one of the two for every order.
func (a *announcements) tell(event domain.Event) {
	orderID := a.of.AggregateID().String()
	switch e := event.(type) {
	case domain.Placed:
		a.add(PlacedV1, e.At, asV1(orderID, e))
		a.add(PlacedV2, e.At, asV2(orderID, e))
	case domain.Cancelled:
		a.add(CancelledV1, e.At, cancelled{orderID, e.CustomerID, e.Reason, string(e.By), e.At})
	case domain.Packed, domain.Dispatched, domain.Rejected: // told by those who did it
	}
}

func (a *announcements) add(typ string, at time.Time, data any) {
	text, err := json.Marshal(data)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.events = append(a.events, eventbus.Event{
		ID:              cause.IntegrationID(a.of.ID, typ).String(),
		Source:          a.source,
		Type:            typ,
		Subject:         a.of.AggregateID().String(),
		Time:            at,
		DataContentType: "application/json",
		Data:            text,
		CorrelationID:   a.of.Metadata.CorrelationID,
		CausationID:     a.of.ID.String(),
		TraceParent:     a.of.Metadata.TraceParent,
		Sequence:        int64(a.of.Revision),
	})
}
