package order_test

import (
	"net/http"
	"strings"
	"testing"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
)

var reason = fields{"reason": "changed my mind"}

func TestACancelledOrderIsAnnouncedAndStaysCancelled(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer(), "X-Correlation-ID", "the-customers-own")
	a := w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK)
	if a.Text("status") != "cancelled" || a.Text("cancelReason") != "changed my mind" || a.Text("cancelledAt") == "" || a.Header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s, %s", a.Header.Get("ETag"), a.Body)
	}
	if read := w.Get("/orders/" + id).Want(http.StatusOK); string(read.Body) != string(a.Body) {
		t.Errorf("read again: %s", read.Body)
	}
	event := w.Hears("order.events.cancelled.v1", id)
	contractstest.Valid(t, event)
	if event.CorrelationID != "the-customers-own" || event.Sequence != 1 || !strings.Contains(string(event.Data), `"by":"customer"`) {
		t.Errorf("announced with correlation %s, sequence %d: %s", event.CorrelationID, event.Sequence, event.Data)
	}

	again := w.Call("POST", "/orders/"+id+"/cancel", fields{"reason": "another"}).Want(http.StatusOK)
	if string(again.Body) != string(a.Body) || again.Header.Get("ETag") != `"1"` {
		t.Errorf("cancelled again: %s", again.Body)
	}
	if events := w.streams()["order-"+id]; events != 2 {
		t.Errorf("%d events", events)
	}
}

func TestManyCancellationsAtOnceAreOne(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	for _, a := range w.atOnce(16, func(int) servicetest.Answer { return w.Call("POST", "/orders/"+id+"/cancel", reason) }) {
		if a.Want(http.StatusOK); a.Text("status") != "cancelled" {
			t.Errorf("%s", a.Body)
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
		w.Call("POST", "/orders/"+id+"/cancel", reason, "If-Match", tag).Refused(412, "stale")
	}
	if a := w.Get("/orders/" + id).Want(http.StatusOK); a.Text("status") != "placed" {
		t.Errorf("it is %s", a.Text("status"))
	}
	tag := w.Get("/orders/" + id).Header.Get("ETag")
	w.Call("POST", "/orders/"+id+"/cancel", reason, "If-Match", tag).Want(http.StatusOK)
	w.Call("POST", "/orders/"+id+"/cancel", reason, "If-Match", tag).Refused(412, "stale")
	w.Call("POST", "/orders/"+id+"/cancel", reason, "If-Match", "*").Want(http.StatusOK)
}

// told waits until the order is in a status.
func (w *world) told(id, status string) servicetest.Answer {
	w.t.Helper()
	var a servicetest.Answer
	sqldbtest.Eventually(w.t, id+" "+status, func() bool {
		a = w.Get("/orders/" + id).Want(http.StatusOK)
		return a.Text("status") == status
	})
	return a
}

func TestAnOrderFollowsWhatOthersDoWithIt(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	id := w.placed(customer)
	w.tell("packing.events.packed.v1", id, 1, fields{"orderId": id, "customerId": customer, "packedBy": "Piet"})
	if a := w.told(id, "packed"); a.Text("packedAt") == "" || a.Header.Get("ETag") != `"1"` {
		t.Errorf("%s", a.Body)
	}
	w.tell("dispatch.events.dispatched.v1", id, 1, fields{"orderId": id, "customerId": customer, "carrier": "post", "trackingNumber": "7"})
	if a := w.told(id, "dispatched"); a.Text("dispatchedAt") == "" || a.Header.Get("ETag") != `"2"` {
		t.Errorf("%s", a.Body)
	}
	w.Call("POST", "/orders/"+id+"/cancel", reason).Refused(409, "already-dispatched")
	w.Call("POST", "/orders/"+id+"/cancel", reason, "If-Match", `"1"`).Refused(412, "stale")

	refused := w.placed(customer)
	w.tell("packing.events.rejected.v1", refused, 1, fields{"orderId": refused, "reason": "out of stock"})
	if a := w.told(refused, "cancelled"); a.Text("cancelReason") != "out of stock" {
		t.Errorf("%s", a.Body)
	}
	event := w.Hears("order.events.cancelled.v1", refused)
	contractstest.Valid(t, event)
	if !strings.Contains(string(event.Data), `"by":"packing"`) {
		t.Errorf("announced as %s", event.Data)
	}
}

func TestAnOrderThatLeftWhileItWasCancelledIsDispatched(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK)
	w.tell("dispatch.events.dispatched.v1", id, 1, fields{"orderId": id, "carrier": "post", "trackingNumber": "7"})
	if a := w.told(id, "dispatched"); a.Text("cancelledAt") == "" || a.Text("dispatchedAt") == "" || a.Text("cancelReason") == "" {
		t.Errorf("%s", a.Body)
	}
	w.Call("POST", "/orders/"+id+"/cancel", reason).Refused(409, "already-dispatched")
}

func TestAnIDThatNobodyHasIsNotFound(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	known := w.placed(w.customer())
	for _, id := range []string{fresh(), "7", "00000000-0000-0000-0000-000000000000", strings.ToUpper(known), known + "x", "%00", "a%2Fb"} {
		w.Get("/orders/"+id).Refused(404, "not-found")
		w.Get("/orders/"+id+"/history").Refused(404, "not-found")
		w.Call("POST", "/orders/"+id+"/cancel", reason).Refused(404, "not-found")
		w.Call("POST", "/orders/"+id+"/cancel", reason, "If-Match", `"3"`).Refused(404, "not-found")
	}
	w.Get("/trace/seven").Refused(404, "not-found")
	w.Get("/deadletters/seven").Refused(404, "not-found")
	w.Get("/order").Refused(404, "not-found")
	for _, text := range []string{"", "  ", "a\nb", "a\x00b", strings.Repeat("x", 501)} {
		w.Call("POST", "/orders/"+known+"/cancel", fields{"reason": text}).Refused(422, "invalid-request")
	}
	w.Call("POST", "/orders/"+known+"/cancel", nil).Want(http.StatusBadRequest)
}
