package order_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"orderflow/pkg/position"
	"orderflow/pkg/service/servicetest"
)

const (
	placedV1    = "order.events.placed.v1"
	cancelledV1 = "order.events.cancelled.v1"
)

// What happens to an order in between is announced by nobody, and is in no
// position: who waited for it would wait for ever.
func TestACommandRestsOnTheLastThingThatWasAnnounced(t *testing.T) {
	t.Parallel()
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) {
		w := startOn(t, database)
		w.product("mug", 1250, "EUR")
		customer, key := w.customer(), fresh()
		place := func() servicetest.Answer {
			return w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated)
		}
		placed := place()
		w.RestsOn(placed, placedV1, 0)
		id := placed.Text("orderId")
		w.tell("packing.events.packed.v1", id, 1, fields{"orderId": id, "customerId": customer, "packedBy": "Piet"})
		w.told(id, "packed")
		w.RestsOn(place(), placedV1, 0)
		for range 2 {
			w.RestsOn(w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK), cancelledV1, 2)
		}
		w.tell("dispatch.events.dispatched.v1", id, 1, fields{"orderId": id, "carrier": "post", "trackingNumber": "7"})
		w.told(id, "dispatched")
		w.RestsOn(place(), cancelledV1, 2)
		w.scribble(id)
		w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusInternalServerError)
	})
}

func TestTheListShowsWhatWasJustWritten(t *testing.T) {
	t.Parallel()
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) {
		w := startOn(t, database)
		w.product("mug", 1250, "EUR")
		customer := w.customer()
		var people sync.WaitGroup
		for range 4 {
			people.Go(func() {
				for range 5 {
					placed := w.Call("POST", "/orders", mugFor(customer))
					w.listShows(placed, "placed")
					id := placed.Text("orderId")
					w.listShows(w.Call("POST", "/orders/"+id+"/cancel", reason), "cancelled")
				}
			})
		}
		people.Wait()
	})
}

// listShows reads the list with the position of an answer.
func (w *world) listShows(written servicetest.Answer, status string) {
	w.t.Helper()
	at, err := position.Parse(written.Header.Get("Orderflow-Position"))
	if err != nil {
		w.t.Error(err)
		return
	}
	w.shownAt(at, written.Text("orderId"), status)
}

// shownAt reads the list with a position until it has come that far. The first
// answer must have the order.
func (w *world) shownAt(at position.Position, orderID, status string) {
	w.t.Helper()
	var a servicetest.Answer
	for range 10 {
		a = w.Get("/orders?limit=100&wait=5s&status=" + status + "&after=" + at.String())
		if a.Status != http.StatusServiceUnavailable {
			break
		} // else the machine is busy
	}
	if a.Status != http.StatusOK || !strings.Contains(string(a.Body), orderID) {
		w.t.Errorf("order %s is not among the %s: %d %s", orderID, status, a.Status, a.Body)
	}
}

// What another service announced is in the list once this service has made it
// part of the order's stream, and the stream part of the list.
func TestTheListCanBeReadWithWhatOthersAnnounced(t *testing.T) {
	t.Parallel()
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) {
		w := startOn(t, database)
		w.product("mug", 1250, "EUR")
		customer := w.customer()
		for range 5 {
			id := w.placed(customer)
			packed := w.tell("packing.events.packed.v1", id, 1, fields{"orderId": id, "customerId": customer, "packedBy": "Piet"})
			w.shownAt(position.Of(packed), id, "packed")
		}
		// What is about no order there is, and what is not read, is no reason to wait.
		for _, at := range []position.Position{
			position.Of(servicetest.Event("customer.events.created.v1", customer, 0, nil)),
			position.Of(servicetest.Event("catalog.events.product_listed.v1", "mug", 0, nil)),
			{Source: "/orderflow/packing", Subject: "x", Name: "packing.events.weighed", Sequence: 3},
		} {
			w.Get("/orders?wait=0s&after=" + at.String()).Want(http.StatusOK)
		}
		// What never happened does not come.
		for _, at := range []position.Position{
			{Source: "/orderflow/order", Subject: fresh(), Name: "order.events.placed", Sequence: 0},
			{Source: "/orderflow/packing", Subject: fresh(), Name: "packing.events.packed", Sequence: 0},
		} {
			w.Get("/orders?wait=20ms&after="+at.String()).Refused(http.StatusServiceUnavailable, "position-not-reached")
		}
		w.Get("/orders?after=x").Refused(422, "invalid-request", "query.after")
		w.Get("/orders?wait=6s").Refused(422, "invalid-request", "query.wait")
		if behind := w.Get("/orders").Want(http.StatusOK).Header.Get("Orderflow-Behind"); behind == "" || strings.HasPrefix(behind, "-") {
			t.Errorf("behind by %q", behind)
		}
	})
}
