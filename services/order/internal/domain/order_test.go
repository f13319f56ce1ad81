package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/services/order/internal/domain"
)

const customer = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"

// at is the nth minute of the story.
func at(n int) time.Time { return time.Date(2026, 3, 14, 15, n, 0, 0, time.UTC) }

func eur(amount int64) domain.Money { return domain.Money{Amount: amount, Currency: "EUR"} }

var (
	mug   = domain.Line{SKU: "mug", Name: "Mug", Quantity: 2, UnitPrice: eur(1250)}
	plate = domain.Line{SKU: "plate", Name: "Plate", Quantity: 1, UnitPrice: eur(990)}

	placed     = domain.Placed{CustomerID: customer, Lines: []domain.Line{mug, plate}, Total: eur(3490), At: at(0)}
	packed     = domain.Packed{At: at(1)}
	dispatched = domain.Dispatched{At: at(2)}
	cancelled  = cancelledBy(domain.ByCustomer, "changed my mind", at(3))
	rejected   = domain.Rejected{Reason: "out of stock", At: at(4)}
	rejection  = []domain.Event{rejected, cancelledBy(domain.ByPacking, "out of stock", at(4))}
)

func cancelledBy(by domain.Canceller, reason string, when time.Time) domain.Cancelled {
	return domain.Cancelled{CustomerID: customer, Reason: reason, By: by, At: when}
}

// given is the order after its history.
func given(history ...domain.Event) domain.Order {
	var o domain.Order
	for _, event := range history {
		o = domain.Apply(o, event)
	}
	return o
}

// The histories that lead to every state there is.
var histories = map[string][]domain.Event{
	"nothing":                         nil,
	"placed":                          {placed},
	"packed":                          {placed, packed},
	"dispatched":                      {placed, packed, dispatched},
	"dispatched, packing not heard":   {placed, dispatched},
	"cancelled":                       {placed, cancelled},
	"cancelled after packing":         {placed, packed, cancelled},
	"rejected":                        append([]domain.Event{placed}, rejection...),
	"dispatched although cancelled":   {placed, packed, cancelled, dispatched},
	"packed after it was cancelled":   {placed, cancelled, packed},
	"dispatched, cancelled, unpacked": {placed, cancelled, dispatched},
}

func TestADecisionDependsOnWhatHappenedBefore(t *testing.T) {
	place := func(o domain.Order) ([]domain.Event, error) {
		return o.Place(customer, []domain.Line{mug, plate}, at(0))
	}
	pack := func(o domain.Order) ([]domain.Event, error) { return o.Pack(at(1)) }
	dispatch := func(o domain.Order) ([]domain.Event, error) { return o.Dispatch(at(2)) }
	cancel := func(o domain.Order) ([]domain.Event, error) { return o.Cancel("changed my mind", at(3)) }
	reject := func(o domain.Order) ([]domain.Event, error) { return o.Reject("out of stock", at(4)) }
	var nothing []domain.Event
	then := func(events ...domain.Event) []domain.Event { return events }

	for _, test := range []struct {
		given  string
		when   string
		decide func(domain.Order) ([]domain.Event, error)
		then   []domain.Event
		err    error
	}{
		{"nothing", "place", place, then(placed), nil},
		{"nothing", "pack", pack, nothing, domain.ErrNotPlaced},
		{"nothing", "dispatch", dispatch, nothing, domain.ErrNotPlaced},
		{"nothing", "cancel", cancel, nothing, domain.ErrNotPlaced},
		{"nothing", "reject", reject, nothing, domain.ErrNotPlaced},

		{"placed", "place", place, nothing, domain.ErrAlreadyPlaced},
		{"placed", "pack", pack, then(packed), nil},
		{"placed", "dispatch", dispatch, then(dispatched), nil},
		{"placed", "cancel", cancel, then(cancelled), nil},
		{"placed", "reject", reject, rejection, nil},

		{"packed", "place", place, nothing, domain.ErrAlreadyPlaced},
		{"packed", "pack", pack, nothing, nil},
		{"packed", "dispatch", dispatch, then(dispatched), nil},
		{"packed", "cancel", cancel, then(cancelled), nil},
		{"packed", "reject", reject, rejection, nil},

		{"dispatched", "place", place, nothing, domain.ErrAlreadyPlaced},
		{"dispatched", "pack", pack, nothing, nil},
		{"dispatched", "dispatch", dispatch, nothing, nil},
		{"dispatched", "cancel", cancel, nothing, domain.ErrAlreadyDispatched},
		{"dispatched", "reject", reject, nothing, nil},

		{"dispatched, packing not heard", "pack", pack, then(packed), nil},
		{"dispatched, packing not heard", "dispatch", dispatch, nothing, nil},

		{"cancelled", "place", place, nothing, domain.ErrAlreadyPlaced},
		{"cancelled", "pack", pack, then(packed), nil},
		{"cancelled", "dispatch", dispatch, then(dispatched), nil},
		{"cancelled", "cancel", cancel, nothing, nil},
		{"cancelled", "reject", reject, nothing, nil},

		{"cancelled after packing", "pack", pack, nothing, nil},
		{"cancelled after packing", "dispatch", dispatch, then(dispatched), nil},
		{"rejected", "cancel", cancel, nothing, nil},
		{"rejected", "reject", reject, nothing, nil},

		{"dispatched although cancelled", "cancel", cancel, nothing, domain.ErrAlreadyDispatched},
		{"dispatched although cancelled", "reject", reject, nothing, nil},
		{"dispatched although cancelled", "dispatch", dispatch, nothing, nil},
		{"packed after it was cancelled", "pack", pack, nothing, nil},
		{"packed after it was cancelled", "dispatch", dispatch, then(dispatched), nil},
		{"dispatched, cancelled, unpacked", "pack", pack, then(packed), nil},
	} {
		t.Run(test.given+"/"+test.when, func(t *testing.T) {
			history, known := histories[test.given]
			if !known {
				t.Fatalf("no history %q", test.given)
			}
			got, err := test.decide(given(history...))
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.then, got); diff != "" {
				t.Errorf("events: %s", diff)
			}
		})
	}
}

func TestAnOrderWithoutLinesIsRefused(t *testing.T) {
	for _, lines := range [][]domain.Line{nil, {}} {
		events, err := domain.Order{}.Place(customer, lines, at(0))
		if !errors.Is(err, domain.ErrNoLines) || events != nil {
			t.Errorf("got %v and %v, want %v", events, err, domain.ErrNoLines)
		}
	}
}
