package stored_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// stateGolden is what the goldens of the events, in their order, come to in
// snapshots of stateGoldenVersion.
const (
	stateGoldenVersion = 1
	stateGolden        = `{"status":"dispatched","customerId":"01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f","lines":[` +
		`{"sku":"mug","name":"Mug \"Grüße\"","quantity":2,"unitPrice":{"amount":1250,"currency":"EUR"}},` +
		`{"sku":"plate-9","name":"Plate","quantity":1,"unitPrice":{"amount":0,"currency":"EUR"}}],` +
		`"total":{"amount":2500,"currency":"EUR"},"placedAt":"2026-03-14T15:09:26.535897932Z","packedAt":"2026-03-14T16:00:00.5Z",` +
		`"dispatchedAt":"2026-03-15T08:00:00Z","cancelledAt":"2026-03-14T17:00:00Z","cancelReason":"out of stock"}`
)

func TestTheStateOfASnapshotChangesWithItsVersionOnly(t *testing.T) {
	var o domain.Order
	for _, golden := range goldens {
		for _, event := range golden.Means {
			o = domain.Apply(o, event)
		}
	}
	text, err := stored.States{}.EncodeState(o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stateGolden, string(text)); diff != "" || (stored.States{}).Version() != stateGoldenVersion {
		t.Errorf("the same events are another state now: raise stateVersion, then change the golden and its version\n%s", diff)
	}
}

// A field that is forgotten in WriteState would be lost in snapshots and in the
// list, and nowhere else.
func TestNoFieldOfAnOrderIsLost(t *testing.T) {
	var o domain.Order
	for _, golden := range goldens {
		for _, event := range golden.Means {
			o = domain.Apply(o, event)
		}
	}
	for i, fields := 0, reflect.ValueOf(o); i < fields.NumField(); i++ {
		if fields.Field(i).IsZero() {
			t.Errorf("the goldens leave %s as it was: this test cannot tell whether it is lost", fields.Type().Field(i).Name)
		}
	}
	written, err := stored.WriteState(o)
	if err != nil {
		t.Fatal(err)
	}
	read, err := stored.ReadState(written)
	if diff := cmp.Diff(o, read); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestAStateComesBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		moment := rapid.Custom(func(r *rapid.T) time.Time {
			return time.Unix(rapid.Int64Range(0, 4e9).Draw(r, "s"), rapid.Int64Range(0, 1e9-1).Draw(r, "ns")).UTC()
		})
		text, money := rapid.String(), rapid.Custom(func(r *rapid.T) domain.Money {
			return domain.Money{Amount: rapid.Int64().Draw(r, "amount"), Currency: rapid.SampledFrom([]string{"EUR", "JPY"}).Draw(r, "currency")}
		})
		events := []domain.Event{
			domain.Placed{
				CustomerID: customer, Total: money.Draw(r, "total"), At: moment.Draw(r, "placed"),
				Lines: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) domain.Line {
					return domain.Line{
						SKU: text.Draw(r, "sku"), Name: text.Draw(r, "name"), Quantity: rapid.Int64().Draw(r, "quantity"), UnitPrice: money.Draw(r, "price"),
					}
				}), 1, 3).Draw(r, "lines"),
			},
			domain.Packed{At: moment.Draw(r, "packed")},
			domain.Cancelled{CustomerID: customer, Reason: text.Draw(r, "reason"), By: domain.ByCustomer, At: moment.Draw(r, "cancelled")},
			domain.Dispatched{At: moment.Draw(r, "dispatched")},
		}
		var o domain.Order
		for _, event := range events[:rapid.IntRange(1, len(events)).Draw(r, "events")] {
			o = domain.Apply(o, event)
		}
		written, err := stored.WriteState(o)
		if err != nil {
			r.Fatal(err)
		}
		read, err := stored.ReadState(written)
		if diff := cmp.Diff(o, read); diff != "" || err != nil {
			r.Error(err, diff)
		}
	})
}
