package domain_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/services/order/internal/domain"
)

// An order is given up only where it was found waiting: one that has moved on,
// in either direction, has been heard of since.
func TestAnOrderExpiresOnlyWhereItWasFoundWaiting(t *testing.T) {
	placed := domain.Placed{CustomerID: customer, At: at(0)}
	packed, dispatched := domain.Packed{At: at(1)}, domain.Dispatched{At: at(2)}
	cancelled := domain.Cancelled{CustomerID: customer, Reason: "changed my mind", By: domain.ByCustomer, At: at(3)}
	expired := []domain.Event{domain.Cancelled{CustomerID: customer, Reason: "too late", By: domain.ByDeadline, At: at(5)}}
	var nothing []domain.Event
	for name, c := range map[string]struct {
		history                 []domain.Event
		waitsAsPlaced, asPacked []domain.Event
		err                     error
	}{
		"nothing":                       {nil, nothing, nothing, domain.ErrNotPlaced},
		"placed":                        {[]domain.Event{placed}, expired, nothing, nil},
		"packed":                        {[]domain.Event{placed, packed}, nothing, expired, nil},
		"dispatched":                    {[]domain.Event{placed, packed, dispatched}, nothing, nothing, nil},
		"dispatched, packing not heard": {[]domain.Event{placed, dispatched}, nothing, nothing, nil},
		"cancelled":                     {[]domain.Event{placed, cancelled}, nothing, nothing, nil},
		"expired":                       {append([]domain.Event{placed}, expired...), nothing, nothing, nil},
	} {
		for waitsAs, want := range map[domain.Status][]domain.Event{
			domain.StatusPlaced: c.waitsAsPlaced, domain.StatusPacked: c.asPacked,
			// No deadline waits for these.
			domain.StatusDispatched: nothing, domain.StatusCancelled: nothing, domain.StatusUnknown: nothing,
		} {
			got, err := given(c.history...).Expire(waitsAs, "too late", at(5))
			if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("%s, found waiting as %q: %v %s", name, waitsAs, err, diff)
			}
		}
	}
}
