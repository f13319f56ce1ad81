package dispatch_test

import (
	"net/http"
	"testing"
)

func TestACommandRestsOnItsAnnouncement(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order, customer := newID(), newID()
		w.Publish(created(customer, "Ada"), packed(order, customer))
		w.Shows("/shipments?", created(customer, "Ada"))
		if a := w.Shows("/shipments/"+order+"?", packed(order, customer)); a.Text("status") != "ready" {
			t.Errorf("%s", a.Body)
		}
		const parcel = `{"carrier":"post","trackingNumber":"7"}`
		for range 2 { // the second changes nothing, and rests on the first
			a := w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", parcel).Want(http.StatusOK)
			w.RestsOn(a, "dispatch.events.dispatched.v1", 1)
		}
	})
}
