package order_test

import (
	"net/http"
	"strings"
	"testing"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/sqldb/sqldbtest"
)

var reason = fields{"reason": "changed my mind"}

func TestACancelledOrderIsAnnouncedAndStaysCancelled(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer(), "X-Correlation-ID", "the-customers-own")
	a := w.call("POST", "/orders/"+id+"/cancel", reason).want(http.StatusOK)
	if a.str("status") != "cancelled" || a.str("cancelReason") != "changed my mind" || a.str("cancelledAt") == "" || a.header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s, %s", a.header.Get("ETag"), a.body)
	}
	if read := w.call("GET", "/orders/"+id, nil).want(http.StatusOK); string(read.body) != string(a.body) {
		t.Errorf("read again: %s", read.body)
	}
	event := w.heard("order.events.cancelled.v1", id)
	contractstest.Valid(t, event)
	if event.CorrelationID != "the-customers-own" || event.Sequence != 1 || !strings.Contains(string(event.Data), `"by":"customer"`) {
		t.Errorf("announced with correlation %s, sequence %d: %s", event.CorrelationID, event.Sequence, event.Data)
	}

	again := w.call("POST", "/orders/"+id+"/cancel", fields{"reason": "another"}).want(http.StatusOK)
	if string(again.body) != string(a.body) || again.header.Get("ETag") != `"1"` {
		t.Errorf("cancelled again: %s", again.body)
	}
	if events := w.streams()["order-"+id]; events != 2 {
		t.Errorf("%d events", events)
	}
}

func TestManyCancellationsAtOnceAreOne(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	for _, a := range w.atOnce(16, func(int) answer { return w.call("POST", "/orders/"+id+"/cancel", reason) }) {
		if a.want(http.StatusOK); a.str("status") != "cancelled" {
			t.Errorf("%s", a.body)
		}
	}
	if events := w.streams()["order-"+id]; events != 2 {
		t.Errorf("%d events", events)
	}
}

func TestACommandIsRefusedWhenTheOrderIsNotWhatTheCallerSaw(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	for _, tag := range []string{`"1"`, `"7"`, `W/"0"`, `"x"`, `"-1"`} {
		w.call("POST", "/orders/"+id+"/cancel", reason, "If-Match", tag).refused(412, "stale")
	}
	if a := w.call("GET", "/orders/"+id, nil).want(http.StatusOK); a.str("status") != "placed" {
		t.Errorf("it is %s", a.str("status"))
	}
	tag := w.call("GET", "/orders/"+id, nil).header.Get("ETag")
	w.call("POST", "/orders/"+id+"/cancel", reason, "If-Match", tag).want(http.StatusOK)
	w.call("POST", "/orders/"+id+"/cancel", reason, "If-Match", tag).refused(412, "stale")
	w.call("POST", "/orders/"+id+"/cancel", reason, "If-Match", "*").want(http.StatusOK)
}

// told waits until the order is in a status.
func (w *world) told(id, status string) answer {
	w.t.Helper()
	var a answer
	sqldbtest.Eventually(w.t, id+" "+status, func() bool {
		a = w.call("GET", "/orders/"+id, nil).want(http.StatusOK)
		return a.str("status") == status
	})
	return a
}

func TestAnOrderFollowsWhatOthersDoWithIt(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	id := w.placed(customer)
	w.tell("packing.events.packed.v1", id, 1, fields{"orderId": id, "customerId": customer, "packedBy": "Piet"})
	if a := w.told(id, "packed"); a.str("packedAt") == "" || a.header.Get("ETag") != `"1"` {
		t.Errorf("%s", a.body)
	}
	w.tell("dispatch.events.dispatched.v1", id, 1, fields{"orderId": id, "customerId": customer, "carrier": "post", "trackingNumber": "7"})
	if a := w.told(id, "dispatched"); a.str("dispatchedAt") == "" || a.header.Get("ETag") != `"2"` {
		t.Errorf("%s", a.body)
	}
	w.call("POST", "/orders/"+id+"/cancel", reason).refused(409, "already-dispatched")
	w.call("POST", "/orders/"+id+"/cancel", reason, "If-Match", `"1"`).refused(412, "stale")

	refused := w.placed(customer)
	w.tell("packing.events.rejected.v1", refused, 1, fields{"orderId": refused, "reason": "out of stock"})
	if a := w.told(refused, "cancelled"); a.str("cancelReason") != "out of stock" {
		t.Errorf("%s", a.body)
	}
	event := w.heard("order.events.cancelled.v1", refused)
	contractstest.Valid(t, event)
	if !strings.Contains(string(event.Data), `"by":"packing"`) {
		t.Errorf("announced as %s", event.Data)
	}
}

func TestAnOrderThatLeftWhileItWasCancelledIsDispatched(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	w.call("POST", "/orders/"+id+"/cancel", reason).want(http.StatusOK)
	w.tell("dispatch.events.dispatched.v1", id, 1, fields{"orderId": id, "carrier": "post", "trackingNumber": "7"})
	if a := w.told(id, "dispatched"); a.str("cancelledAt") == "" || a.str("dispatchedAt") == "" || a.str("cancelReason") == "" {
		t.Errorf("%s", a.body)
	}
	w.call("POST", "/orders/"+id+"/cancel", reason).refused(409, "already-dispatched")
}

func TestAnIDThatNobodyHasIsNotFound(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	known := w.placed(w.customer())
	for _, id := range []string{fresh(), "7", "00000000-0000-0000-0000-000000000000", strings.ToUpper(known), known + "x", "%00", "a%2Fb"} {
		w.call("GET", "/orders/"+id, nil).refused(404, "not-found")
		w.call("GET", "/orders/"+id+"/history", nil).refused(404, "not-found")
		w.call("POST", "/orders/"+id+"/cancel", reason).refused(404, "not-found")
		w.call("POST", "/orders/"+id+"/cancel", reason, "If-Match", `"3"`).refused(404, "not-found")
	}
	w.call("GET", "/trace/seven", nil).refused(404, "not-found")
	w.call("GET", "/deadletters/seven", nil).refused(404, "not-found")
	w.call("GET", "/order", nil).refused(404, "not-found")
	for _, text := range []string{"", "  ", "a\nb", "a\x00b", strings.Repeat("x", 501)} {
		w.call("POST", "/orders/"+known+"/cancel", fields{"reason": text}).refused(422, "invalid-request")
	}
	w.call("POST", "/orders/"+known+"/cancel", nil).want(http.StatusBadRequest)
}
