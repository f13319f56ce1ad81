package stored_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/es/estest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

const customer = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"

var order = uuid.MustParse("01928f40-0a1b-7c2d-8e3f-405162738495")

var (
	placed = domain.Placed{
		CustomerID: customer,
		Lines: []domain.Line{
			{SKU: "mug", Name: `Mug "Grüße"`, Quantity: 2, UnitPrice: domain.Money{Amount: 1250, Currency: "EUR"}},
			{SKU: "plate-9", Name: "Plate", Quantity: 1, UnitPrice: domain.Money{Amount: 0, Currency: "EUR"}},
		},
		Total: domain.Money{Amount: 2500, Currency: "EUR"},
		At:    time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC),
	}
	packed     = domain.Packed{At: time.Date(2026, 3, 14, 16, 0, 0, 500_000_000, time.UTC)}
	dispatched = domain.Dispatched{At: time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)}
	rejected   = domain.Rejected{Reason: "out of stock", At: time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC)}
	cancelled  = domain.Cancelled{
		CustomerID: customer, Reason: "out of stock", By: domain.ByPacking, At: time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC),
	}
	cancelledByCustomer = domain.Cancelled{
		CustomerID: customer, Reason: "changed my mind", By: domain.ByCustomer, At: time.Date(2026, 3, 14, 18, 0, 0, 1000, time.UTC),
	}
	cancelledByDeadline = domain.Cancelled{
		CustomerID: customer, Reason: "not packed in time", By: domain.ByDeadline, At: time.Date(2026, 3, 14, 19, 0, 0, 0, time.UTC),
	}
)

type golden = estest.Golden[domain.Event]

// goldens are every version ever written. A line, once here, is never removed,
// nor its file changed: the same bytes are in event stores. What it means today
// may be put into other words.
var goldens = []golden{
	{Type: stored.Placed, Version: 1, Means: []domain.Event{placed}},
	{Type: stored.Placed, Version: 2, Means: []domain.Event{placed}},
	{Type: stored.Packed, Version: 1, Means: []domain.Event{packed}},
	{Type: stored.Dispatched, Version: 1, Means: []domain.Event{dispatched}},
	{Type: stored.Rejected, Version: 1, Means: []domain.Event{rejected}},
	{Type: stored.Cancelled, Version: 1, Means: []domain.Event{rejected, cancelled}}, // it was two things at once
	{Type: stored.Cancelled, Version: 1, Variant: "by_customer", Means: []domain.Event{cancelledByCustomer}},
	{Type: stored.Cancelled, Version: 1, Variant: "by_deadline", Means: []domain.Event{cancelledByDeadline}},
	{Type: stored.Cancelled, Version: 2, Means: []domain.Event{cancelled}},
}

func TestEveryVersionEverWrittenIsRead(t *testing.T) {
	estest.Goldens[domain.Event]{Codec: stored.Codec{}, Schemas: stored.Schemas(), Aggregate: order, List: goldens}.Check(t)
}

func recorded(typ string, version int, data string) es.Recorded {
	return es.Recorded{
		Type: typ, Stream: es.StreamName("order", order), Data: []byte(data), Metadata: es.Metadata{Version: version},
	}
}

// What cannot be understood is never taken for something else.
func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	const packed = `{"packedAt":"2026-03-14T16:00:00Z"}`
	for name, r := range map[string]es.Recorded{
		"unknown type":   recorded("order-teleported", 1, packed),
		"no JSON":        recorded(stored.Packed, 1, "packed"),
		"another shape":  recorded(stored.Cancelled, 1, `{"reason":7}`),
		"version 1 as 2": recorded(stored.Placed, 2, `{"total":{"amount":1,"currency":"EUR"}}`),
		"two currencies": recorded(stored.Placed, 1, `{"lines":[{"unitPrice":{"currency":"USD"}}],"total":{"currency":"EUR"}}`),
		"no time":        recorded(stored.Dispatched, 1, `{"dispatchedAt":"yesterday"}`),
	} {
		t.Run(name, func(t *testing.T) {
			if events, err := (stored.Codec{}).Decode(t.Context(), r); err == nil {
				t.Errorf("taken for %#v", events)
			}
		})
	}
}
