package domain_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/services/order/internal/domain"
)

// TestEveryEventInEveryStateGivesTheStateThatFollows goes through all of the
// table, the cells that no decision leads to as well: what is in a stream has
// happened.
func TestEveryEventInEveryStateGivesTheStateThatFollows(t *testing.T) {
	events := map[string]domain.Event{"packed": packed, "dispatched": dispatched, "cancelled": cancelled, "rejected": rejected}
	statuses := map[string]map[string]domain.Status{
		"placed": {
			"packed": domain.StatusPacked, "dispatched": domain.StatusDispatched,
			"cancelled": domain.StatusCancelled, "rejected": domain.StatusPlaced,
		},
		"packed": {
			"packed": domain.StatusPacked, "dispatched": domain.StatusDispatched,
			"cancelled": domain.StatusCancelled, "rejected": domain.StatusPacked,
		},
		"cancelled": {
			"packed": domain.StatusCancelled, "dispatched": domain.StatusDispatched,
			"cancelled": domain.StatusCancelled, "rejected": domain.StatusCancelled,
		},
		"dispatched": {
			"packed": domain.StatusDispatched, "dispatched": domain.StatusDispatched,
			"cancelled": domain.StatusDispatched, "rejected": domain.StatusDispatched,
		},
	}
	for before, row := range statuses {
		for name, event := range events {
			t.Run(before+"/"+name, func(t *testing.T) {
				was := given(histories[before]...)
				want := was
				want.Status = row[name]
				switch e := event.(type) {
				case domain.Placed:
					t.Fatal("opens a stream, and nothing else")
				case domain.Packed:
					want.PackedAt = e.At
				case domain.Dispatched:
					want.DispatchedAt = e.At
				case domain.Rejected: // what follows from it is told by the event behind it
				case domain.Cancelled:
					want.CancelledAt, want.CancelReason = e.At, e.Reason
				}
				if diff := cmp.Diff(want, domain.Apply(was, event)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestAPlacedOrderHoldsWhatWasOrdered(t *testing.T) {
	want := domain.Order{
		Status: domain.StatusPlaced, CustomerID: customer, Lines: []domain.Line{mug, plate}, Total: eur(3490), PlacedAt: at(0),
	}
	if diff := cmp.Diff(want, domain.Apply(domain.Order{}, placed)); diff != "" {
		t.Error(diff)
	}
}

// step is what may happen to a placed order, and whether it can be refused.
type step struct {
	name     string
	decision bool
	do       func(domain.Order) ([]domain.Event, error)
}

var steps = []step{
	{"packed", false, func(o domain.Order) ([]domain.Event, error) { return o.Pack(at(1)) }},
	{"dispatched", false, func(o domain.Order) ([]domain.Event, error) { return o.Dispatch(at(2)) }},
	{"rejected", false, func(o domain.Order) ([]domain.Event, error) { return o.Reject("out of stock", at(4)) }},
	{"cancel", true, func(o domain.Order) ([]domain.Event, error) { return o.Cancel("changed my mind", at(3)) }},
}

// TestFactsAreNeverRefusedInWhateverOrderTheyCome goes through every sequence of
// up to six steps: every permutation of what can happen, with every pattern of
// repetitions, from one step to all of them and some twice.
func TestFactsAreNeverRefusedInWhateverOrderTheyCome(t *testing.T) {
	const longest = 6
	sequences := 0
	var walk func(o domain.Order, path []step)
	walk = func(o domain.Order, path []step) {
		sequences++
		check(t, o, path)
		if len(path) == longest {
			return
		}
		for _, next := range steps {
			events, err := next.do(o)
			if err != nil && !next.decision {
				t.Fatalf("%s after %s: %v", next.name, names(path), err)
			}
			if err != nil && o.DispatchedAt.IsZero() {
				t.Fatalf("%s after %s: %v, though the parcel is here", next.name, names(path), err)
			}
			after := o
			for _, event := range events {
				after = domain.Apply(after, event)
			}
			again, err := next.do(after)
			if len(again) > 0 || err != nil && !next.decision {
				t.Fatalf("%s twice after %s: %v, %v", next.name, names(path), again, err)
			}
			walk(after, append(path[:len(path):len(path)], next))
		}
	}
	walk(given(placed), nil)
	if sequences != 5461 { // 4^0 + 4^1 + ... + 4^6
		t.Errorf("went through %d sequences", sequences)
	}
}

// check compares an order with what the steps that were taken add up to.
func check(t *testing.T, o domain.Order, path []step) {
	t.Helper()
	happened := map[string]bool{}
	cancelledFirst := false // before anything said that the parcel had left
	for _, s := range path {
		happened[s.name] = true
		if (s.name == "cancel" || s.name == "rejected") && !happened["dispatched"] {
			cancelledFirst = true
		}
	}
	want := domain.StatusPlaced
	switch {
	case happened["dispatched"]:
		want = domain.StatusDispatched
	case cancelledFirst:
		want = domain.StatusCancelled
	case happened["packed"]:
		want = domain.StatusPacked
	}
	if o.Status != want {
		t.Errorf("after %s: %s, want %s", names(path), o.Status, want)
	}
	if o.CancelledAt.IsZero() == cancelledFirst || (o.CancelReason != "") != cancelledFirst {
		t.Errorf("after %s: cancelled at %s for %q", names(path), o.CancelledAt, o.CancelReason)
	}
	if o.PackedAt.IsZero() == happened["packed"] || o.DispatchedAt.IsZero() == happened["dispatched"] {
		t.Errorf("after %s: packed at %s, dispatched at %s", names(path), o.PackedAt, o.DispatchedAt)
	}
}

func names(path []step) []string {
	list := make([]string, len(path))
	for i, s := range path {
		list[i] = s.name
	}
	return list
}
