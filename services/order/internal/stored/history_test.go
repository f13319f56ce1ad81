package stored_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/es"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// decision is what somebody does to an order.
type decision func(domain.Order) ([]domain.Event, error)

// TestAHistoryMeansTheSameInWhateverVersionItWasWritten takes orders through
// decisions, writes what was decided as it is written today and as it was in the
// beginning, and reads both again.
func TestAHistoryMeansTheSameInWhateverVersionItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o, today, once domain.Order
		for _, decide := range drawDecisions(t) {
			events, err := decide(o)
			if err != nil {
				continue // refused: nothing is written
			}
			for _, event := range events {
				encoded, err := stored.Codec{}.Encode(context.Background(), order, event)
				if err != nil {
					t.Fatal(err)
				}
				o = domain.Apply(o, event)
				today = read(t, today, encoded)
			}
			for _, encoded := range inVersion1(t, events) {
				once = read(t, once, encoded)
			}
		}
		if diff := cmp.Diff(o, today); diff != "" {
			t.Errorf("as written today: %s", diff)
		}
		if diff := cmp.Diff(o, once); diff != "" {
			t.Errorf("as written in the beginning: %s", diff)
		}
	})
}

func drawDecisions(t *rapid.T) []decision {
	currency := rapid.SampledFrom([]string{"EUR", "JPY"}).Draw(t, "currency")
	lines := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) domain.Line {
		return domain.Line{
			SKU: rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "sku"), Name: rapid.String().Draw(t, "name"),
			Quantity:  rapid.Int64Range(1, 1000).Draw(t, "quantity"),
			UnitPrice: domain.Money{Amount: rapid.Int64Range(0, 1_000_000).Draw(t, "price"), Currency: currency},
		}
	}), 1, 5, func(l domain.Line) string { return l.SKU }).Draw(t, "lines")
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(0, 4_000_000_000_000_000).Draw(t, "at")).UTC()
	})
	reason := rapid.String().Draw(t, "reason")
	place := func(o domain.Order) ([]domain.Event, error) { return o.Place(customer, lines, at.Draw(t, "placed")) }
	return append([]decision{place}, rapid.SliceOfN(rapid.SampledFrom([]decision{
		func(o domain.Order) ([]domain.Event, error) { return o.Pack(at.Draw(t, "packed")) },
		func(o domain.Order) ([]domain.Event, error) { return o.Reject(reason, at.Draw(t, "rejected")) },
		func(o domain.Order) ([]domain.Event, error) { return o.Cancel(reason, at.Draw(t, "cancelled")) },
		func(o domain.Order) ([]domain.Event, error) { return o.Dispatch(at.Draw(t, "dispatched")) },
	}), 0, 6).Draw(t, "decisions")...)
}

func read(t *rapid.T, o domain.Order, encoded es.Encoded) domain.Order {
	events, err := stored.Codec{}.Decode(context.Background(), recorded(encoded.Type, encoded.Version, string(encoded.Data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		o = domain.Apply(o, event)
	}
	return o
}

type object map[string]any

// inVersion1 writes the events of one decision as the first release wrote them.
func inVersion1(t *rapid.T, events []domain.Event) []es.Encoded {
	var all []es.Encoded
	add := func(typ string, data object) {
		text, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, es.Encoded{Type: typ, Version: 1, Data: text})
	}
	money := func(m domain.Money) object { return object{"amount": m.Amount, "currency": m.Currency} }
	for _, event := range events {
		switch e := event.(type) {
		case domain.Placed:
			lines := make([]object, len(e.Lines))
			for i, l := range e.Lines {
				lines[i] = object{"sku": l.SKU, "name": l.Name, "quantity": l.Quantity, "unitPrice": money(l.UnitPrice)}
			}
			add("order-placed", object{"customerId": e.CustomerID, "lines": lines, "total": money(e.Total), "placedAt": e.At})
		case domain.Packed:
			add("order-packed", object{"packedAt": e.At})
		case domain.Dispatched:
			add("order-dispatched", object{"dispatchedAt": e.At})
		case domain.Rejected: // was part of the cancellation behind it
		case domain.Cancelled:
			add("order-cancelled", object{"customerId": e.CustomerID, "reason": e.Reason, "by": string(e.By), "cancelledAt": e.At})
		}
	}
	return all
}

// An order in two currencies, which nobody could place, is not taken for one in
// the currency of its total.
func TestAnOrderInTwoCurrenciesIsNeitherReadNorWritten(t *testing.T) {
	_, err := stored.Codec{}.Decode(t.Context(), recorded(stored.Placed, 1,
		`{"lines":[{"unitPrice":{"amount":1,"currency":"EUR"}},{"unitPrice":{"amount":1,"currency":"USD"}}],"total":{"amount":2,"currency":"EUR"}}`))
	const want = `upcast order-placed from version 1: line 1 is in "USD", the total in "EUR"`
	if err == nil || err.Error() != want {
		t.Errorf("read: %v, want %s", err, want)
	}
	mixed := placed
	mixed.Total.Currency = "USD"
	if _, err := (stored.Codec{}).Encode(t.Context(), order, mixed); err == nil || !strings.Contains(err.Error(), `line 0 is in "EUR"`) {
		t.Errorf("written: %v", err)
	}
}
