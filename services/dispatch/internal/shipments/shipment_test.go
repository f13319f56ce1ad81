package shipments

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	later = noon.Add(time.Hour)
	home  = Address{Line1: "1 First Street", City: "London", Postcode: "W1", Country: "GB"}
)

// ready is a shipment whose order and customer are known.
func ready() Shipment {
	s := unseen("order").Ready("ada", noon, "request", 1)
	s.Recipient, s.Address = "Ada", home
	return s
}

// must is for steps of a test that cannot be refused.
func must(s Shipment, err error) Shipment {
	if err != nil {
		panic(err)
	}
	return s
}

func TestWhatMayLeaveTheHouseFollowsFromTheFacts(t *testing.T) {
	nameless, homeless := ready(), ready()
	nameless.Recipient, homeless.Address = "", Address{}
	gone := must(ready().Dispatch("DHL", "JD014", noon))
	for name, c := range map[string]struct {
		given           Shipment
		carrier, number string
		want            Status
		err             error
		still           bool // nothing changes
	}{
		"a ready one is dispatched":         {ready(), "DHL", "JD014", StatusDispatched, nil, false},
		"not without an address":            {homeless, "DHL", "JD014", StatusReady, ErrAddressUnknown, true},
		"not without a name":                {nameless, "DHL", "JD014", StatusReady, ErrAddressUnknown, true},
		"again changes nothing":             {gone, "DHL", "JD014", StatusDispatched, nil, true},
		"not by another carrier":            {gone, "UPS", "JD014", StatusDispatched, ErrAlreadyDispatched, true},
		"not under another number":          {gone, "DHL", "JD015", StatusDispatched, ErrAlreadyDispatched, true},
		"not when it was cancelled":         {ready().Cancel(noon), "DHL", "JD014", StatusCancelled, ErrCancelled, true},
		"gone is gone, cancelled or not":    {gone.Cancel(noon), "DHL", "JD014", StatusDispatched, nil, true},
		"not before it is packed":           {unseen("order"), "DHL", "JD014", StatusUnknown, ErrUnknown, true},
		"not when cancelled and not packed": {unseen("order").Cancel(noon), "DHL", "JD014", StatusUnknown, ErrUnknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.given.Dispatch(c.carrier, c.number, later)
			if got.Status() != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v; want %q, %v", got.Status(), err, c.want, c.err)
			}
			if c.still && !cmp.Equal(c.given, got) {
				t.Errorf("changed (-given +got):\n%s", cmp.Diff(c.given, got))
			}
			if !c.still && (got.Version != c.given.Version+1 || got.Carrier != c.carrier || !got.DispatchedAt.Equal(later)) {
				t.Errorf("got %+v after version %d", got, c.given.Version)
			}
		})
	}
}

func TestAFactIsNotedOnce(t *testing.T) {
	shipment := ready().Cancel(noon)
	again := shipment.Ready("bob", later, "another", 9).Cancel(later)
	if diff := cmp.Diff(shipment, again); diff != "" {
		t.Errorf("changed by what was known (-want +got):\n%s", diff)
	}
}
