package announce_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/services/order/internal/announce"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

var (
	order    = uuid.MustParse("01928f40-0a1b-7c2d-8e3f-405162738495")
	customer = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"
	at       = time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)
)

// committed is an event as the log holds it.
func committed(t *testing.T, revision es.Revision, event domain.Event) es.Recorded {
	t.Helper()
	encoded, err := stored.Codec{}.Encode(t.Context(), order, event)
	if err != nil {
		t.Fatal(err)
	}
	command := uuid.MustParse("6cb741bd-2a3c-5f75-af30-22264140a485")
	return es.Recorded{
		ID: cause.Cause{ID: command}.EventID("order-"+order.String(), 0), Stream: es.StreamName("order", order), Revision: revision,
		Type: encoded.Type, Data: encoded.Data,
		Metadata: es.Metadata{
			Version: encoded.Version, CorrelationID: "8c52", CausationID: command.String(),
			TraceParent: "00-c6527528934c5d8f86b9ca8ef73cb85e-a5d0f1c71b6758f2-01",
		},
		At: at.Add(time.Second),
	}
}

var events = map[string]domain.Event{
	"placed": domain.Placed{
		CustomerID: customer,
		Lines: []domain.Line{
			{SKU: "mug", Name: "Mug", Quantity: 2, UnitPrice: domain.Money{Amount: 1250, Currency: "EUR"}},
			{SKU: "gift", Name: "Gift", Quantity: 1, UnitPrice: domain.Money{Currency: "EUR"}},
		},
		Total: domain.Money{Amount: 2500, Currency: "EUR"}, At: at,
	},
	"free of charge": domain.Placed{
		CustomerID: customer, Lines: []domain.Line{{SKU: "gift", Name: "Gift", Quantity: 1, UnitPrice: domain.Money{Currency: "EUR"}}},
		Total: domain.Money{Currency: "EUR"}, At: at,
	},
	"cancelled by the customer":  domain.Cancelled{CustomerID: customer, Reason: "zu spät", By: domain.ByCustomer, At: at},
	"cancelled by packing":       domain.Cancelled{CustomerID: customer, Reason: "broken", By: domain.ByPacking, At: at},
	"cancelled after a deadline": domain.Cancelled{CustomerID: customer, Reason: "late", By: domain.ByDeadline, At: at},
}

func TestWhatIsAnnouncedKeepsItsContract(t *testing.T) {
	for name, event := range events {
		t.Run(name, func(t *testing.T) {
			announced, err := announce.Translate(t.Context(), committed(t, 0, event))
			if err != nil || len(announced) != 1 {
				t.Fatalf("%d events, %v", len(announced), err)
			}
			contractstest.Valid(t, announced[0])
		})
	}
}

// A relay that died announces the same events again: by their ids, consumers
// know that they are the same.
func TestTheSameEventIsAnnouncedTheSameEveryTime(t *testing.T) {
	seen := map[string]string{}
	for name, event := range events {
		r := committed(t, 3, event)
		r.ID = uuid.NewSHA1(uuid.Nil, []byte(name))
		first, err := announce.Translate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := announce.Translate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if other := seen[first[0].ID]; other != "" {
			t.Errorf("%s and %s share an id", name, other)
		}
		seen[first[0].ID] = name
	}
}

func TestAnAnnouncementTellsWhereItComesFrom(t *testing.T) {
	r := committed(t, 2, events["cancelled by the customer"])
	announced, err := announce.Translate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := []eventbus.Event{{
		ID: cause.IntegrationID(r.ID, "order.events.cancelled.v1").String(), Source: "/orderflow/order", Type: "order.events.cancelled.v1",
		Subject: order.String(), Time: at, DataContentType: "application/json",
		CorrelationID: r.Metadata.CorrelationID, CausationID: r.ID.String(), TraceParent: r.Metadata.TraceParent, Sequence: 2,
		Data: []byte(`{"orderId":"` + order.String() + `","customerId":"` + customer +
			`","reason":"zu spät","by":"customer","occurredAt":"2026-03-14T15:09:26.535897932Z"}`),
	}}
	if diff := cmp.Diff(want, announced); diff != "" {
		t.Error(diff)
	}
}

func TestAPlacedOrderIsAnnouncedWithItsLines(t *testing.T) {
	announced, err := announce.Translate(t.Context(), committed(t, 0, events["placed"]))
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(announced[0].Data, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{
		"orderId": "01928f40-0a1b-7c2d-8e3f-405162738495", "customerId": "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f",
		"lines": [
			{"sku": "mug", "name": "Mug", "quantity": 2, "unitPrice": {"amount": 1250, "currency": "EUR"}},
			{"sku": "gift", "name": "Gift", "quantity": 1, "unitPrice": {"amount": 0, "currency": "EUR"}}],
		"total": {"amount": 2500, "currency": "EUR"}, "occurredAt": "2026-03-14T15:09:26.535897932Z"}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Packing and dispatching are told by those who did it.
func TestFactsOfOthersAreNotAnnouncedAgain(t *testing.T) {
	for _, event := range []domain.Event{domain.Packed{At: at}, domain.Dispatched{At: at}} {
		announced, err := announce.Translate(t.Context(), committed(t, 1, event))
		if err != nil || len(announced) > 0 {
			t.Errorf("%T: %v, %v", event, announced, err)
		}
	}
}

func TestAnEventThatCannotBeReadIsNotAnnounced(t *testing.T) {
	r := committed(t, 1, domain.Packed{At: at})
	r.Type = "order-teleported"
	if announced, err := announce.Translate(t.Context(), r); err == nil {
		t.Errorf("announced %v", announced)
	}
}
