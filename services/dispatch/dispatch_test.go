package dispatch_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
)

// event is what another service says about an order or a customer.
func event(service, name, subject string, sequence int64, data map[string]any) eventbus.Event {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(sequence) * time.Second)
	text, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return eventbus.Event{
		ID: newID(), Source: "/orderflow/" + service, Type: service + ".events." + name + ".v1", Subject: subject, Time: at, Data: text,
		CorrelationID: "request-" + subject, CausationID: newID(), Sequence: sequence,
	}
}

func packed(orderID, customerID string) eventbus.Event {
	return event("packing", "packed", orderID, 1, map[string]any{"orderId": orderID, "customerId": customerID, "packedBy": "Ada"})
}

func cancelled(orderID string) eventbus.Event {
	return event("order", "cancelled", orderID, 2, map[string]any{"orderId": orderID, "reason": "changed my mind", "by": "customer"})
}

func address(line1 string) map[string]any {
	return map[string]any{"line1": line1, "city": "London", "postcode": "W1", "country": "GB"}
}

func created(customerID, name string) eventbus.Event {
	return event("customer", "created", customerID, 0, map[string]any{"name": name, "email": "x@example.org", "address": address("1 First Street")})
}

func moved(customerID, line1 string, sequence int64) eventbus.Event {
	return event("customer", "address_changed", customerID, sequence, map[string]any{"address": address(line1)})
}

func newID() string { return cause.NewID().String() }

// hasShipment waits until the shipment of an order has a status.
func (w *world) hasShipment(orderID, status string) {
	w.t.Helper()
	sqldbtest.Eventually(w.t, "shipment "+orderID+" is "+status, func() bool {
		return w.Get("/shipments/" + orderID).Fields()["status"] == status
	})
}

// livesAt waits until the customer of a shipment lives there.
func (w *world) livesAt(orderID, line1 string) {
	w.t.Helper()
	sqldbtest.Eventually(w.t, "it goes to "+line1, func() bool {
		known, _ := w.Get("/shipments/" + orderID).Fields()["address"].(map[string]any)
		return known["line1"] == line1
	})
}

func TestAPackedOrderIsDispatchedAndAnnouncedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order, customer := newID(), newID()
		w.Publish(created(customer, "Ada"), packed(order, customer))
		w.hasShipment(order, "ready")
		w.livesAt(order, "1 First Street")

		const parcel = `{"carrier":"DHL","trackingNumber":"JD014"}`
		want := map[string]any{
			"orderId": order, "status": "dispatched", "recipient": "Ada", "address": address("1 First Street"),
			"carrier": "DHL", "trackingNumber": "JD014",
		}
		for range 2 { // the second changes nothing
			a := w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", parcel)
			if diff := cmp.Diff(want, a.Fields()); a.Status != http.StatusOK || a.Header.Get("ETag") != `"1"` || diff != "" {
				t.Fatalf("got %d at %s (-want +got):\n%s", a.Status, a.Header.Get("ETag"), diff)
			}
		}
		w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", `{"carrier":"UPS","trackingNumber":"JD014"}`).
			Refused(http.StatusConflict, "already-dispatched")
		w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", `{"carrier":"DHL","trackingNumber":"JD015"}`).
			Refused(http.StatusConflict, "already-dispatched")

		// What left the house went to where it went, whatever happens later.
		next := newID()
		w.Publish(moved(customer, "2 Second Street", 1), cancelled(order), packed(next, customer))
		w.hasShipment(next, "ready")
		w.livesAt(next, "2 Second Street")
		sqldbtest.Eventually(t, "the cancellation is noted", func() bool {
			return w.Get("/shipments/"+order).Header.Get("ETag") == `"2"`
		})
		if diff := cmp.Diff(want, w.Get("/shipments/"+order).Fields()); diff != "" {
			t.Errorf("it changed on its way (-want +got):\n%s", diff)
		}

		w.Call(http.MethodPost, "/shipments/"+next+"/dispatch", parcel)
		sqldbtest.Eventually(t, "both are announced", func() bool { return len(w.Said()) >= 2 })
		var about []string
		for _, e := range w.Said() {
			contractstest.Valid(t, e)
			about = append(about, e.Subject)
			if e.CorrelationID != "request-"+e.Subject || e.Sequence != 1 {
				t.Errorf("got %+v, want the correlation of the order and the version of the shipment", e)
			}
		}
		if diff := cmp.Diff([]string{order, next}, about); diff != "" {
			t.Errorf("announced (-want +got):\n%s", diff)
		}
	})
}

func TestAnOrderIsNotDispatchedToNowhere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order, customer := newID(), newID()
		dispatch := func() servicetest.Answer {
			return w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", `{"carrier":"DHL","trackingNumber":"JD014"}`)
		}
		w.Publish(packed(order, customer))
		w.hasShipment(order, "ready")
		refused := dispatch()
		refused.Refused(http.StatusConflict, "address-unknown")
		if refused.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q, want 1", refused.Header.Get("Retry-After"))
		}
		w.Publish(moved(customer, "2 Second Street", 1)) // overtook the event that has the name
		w.livesAt(order, "2 Second Street")
		dispatch().Refused(http.StatusConflict, "address-unknown")

		w.Publish(created(customer, "Ada"))
		sqldbtest.Eventually(t, "it can be dispatched", func() bool { return dispatch().Status == http.StatusOK })
		w.livesAt(order, "2 Second Street")
	})
}

func TestACancelledOrderIsNotDispatched(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		customer, early, late := newID(), newID(), newID()
		w.Publish(created(customer, "Ada"), cancelled(early), packed(late, customer))
		w.hasShipment(late, "ready")
		w.Get("/shipments/"+early).Refused(http.StatusNotFound, "not-found")
		w.Publish(packed(early, customer), cancelled(late))
		for _, order := range []string{early, late} {
			w.hasShipment(order, "cancelled")
			w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", `{"carrier":"DHL","trackingNumber":"JD014"}`).
				Refused(http.StatusConflict, "shipment-cancelled")
			if a := w.Get("/shipments/" + order); a.Fields()["recipient"] != nil || a.Fields()["address"] != nil {
				t.Errorf("got %v: nobody needs to know who would have got it", a.Fields())
			}
		}
		if said := w.Said(); len(said) != 0 {
			t.Errorf("announced %v", said)
		}
	})
}

func TestAStoppedServiceCatchesUpAndLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := w.Start()
		stop()
		customer := newID()
		orders := []string{newID(), newID(), newID()}
		for _, order := range orders {
			w.Publish(packed(order, customer), packed(order, customer)) // the second is another event about the same fact
		}
		w.Publish(created(customer, "Ada"))
		w.Start()
		for _, order := range orders {
			w.hasShipment(order, "ready")
			w.livesAt(order, "1 First Street")
		}
	})
}

func TestWhatHappenedToAnOrderIsTraced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order, customer := newID(), newID()
		w.Publish(packed(order, customer), created(customer, "Ada"))
		w.hasShipment(order, "ready")
		w.livesAt(order, "1 First Street")
		w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", `{"carrier":"DHL","trackingNumber":"JD014"}`)
		sqldbtest.Eventually(t, "all of it is in the trace", func() bool {
			kinds := w.Get("/trace/" + order).Items("kind")
			slices.Sort(kinds)
			return cmp.Equal(kinds, []string{"http", "published", "received", "wrote"})
		})
		if subjects := w.Get("/ledger").Items("subject"); len(subjects) != 2 {
			t.Errorf("the ledger has %v, want the order and the customer", subjects)
		}
	})
}

func TestAnEventThatCannotBeUsedIsLeftToAPerson(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		customer := newID()
		w.Publish(packed(newID(), ""), packed("nonsense", customer), cancelled("nonsense"), created("nonsense", "Ada"), created(customer, ""),
			event("customer", "address_changed", newID(), 1, map[string]any{}))
		sqldbtest.Eventually(t, "all are parked", func() bool {
			letters := w.Get("/deadletters").Items("status")
			return cmp.Equal(letters, []string{"parked", "parked", "parked", "parked", "parked", "parked"})
		})
		for _, id := range w.Get("/deadletters").Items("id") {
			if a := w.Call(http.MethodDelete, "/deadletters/"+id, ""); a.Status != http.StatusNoContent {
				t.Errorf("discarding %s: %d %v", id, a.Status, a.Fields())
			}
		}
	})
}
