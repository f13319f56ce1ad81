package dispatch_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShipmentsArePagedNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.start()
		customer := newID()
		var newest []string
		for i := range 5 {
			order := newID()
			e := packed(order, customer)
			e.Time = e.Time.AddDate(0, 0, i/2) // some share an instant: then the id decides
			w.publish(e)
			newest = append(newest, order)
		}
		slices.Reverse(newest)
		for _, order := range newest {
			w.hasShipment(order, "ready")
		}
		w.publish(cancelled(newest[1]))
		w.hasShipment(newest[1], "cancelled")

		var pages [][]string
		path := "/shipments?limit=2"
		for path != "" {
			page := w.call(http.MethodGet, path, "")
			pages = append(pages, page.items("orderId"))
			path = ""
			if next, ok := page.body["nextCursor"].(string); ok {
				path = "/shipments?limit=2&cursor=" + next
			}
		}
		if diff := cmp.Diff([][]string{newest[:2], newest[2:4], newest[4:]}, pages); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		for status, want := range map[string][]string{
			"cancelled": {newest[1]}, "ready": slices.Delete(slices.Clone(newest), 1, 2), "dispatched": {},
		} {
			if diff := cmp.Diff(want, w.call(http.MethodGet, "/shipments?status="+status, "").items("orderId")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", status, diff)
			}
		}
		w.call(http.MethodGet, "/shipments?status=lost", "").refused(t, http.StatusUnprocessableEntity, "invalid-request", "query.status")
		w.call(http.MethodGet, "/shipments?cursor=xyz", "").refused(t, http.StatusUnprocessableEntity, "invalid-request", "query.cursor")
	})
}

func TestRequestsThatMakeNoSenseAreRefusedAtTheDoor(t *testing.T) {
	w := newWorld(t, "sqlite://"+t.TempDir()+"/dispatch.db")
	w.start()
	order, customer := newID(), newID()
	w.publish(created(customer, "Ada"), packed(order, customer))
	w.hasShipment(order, "ready")
	w.livesAt(order, "1 First Street")

	const parcel = `{"carrier":"DHL","trackingNumber":"JD014"}`
	for _, id := range []string{"nonsense", newID(), strings.ToUpper(order), "%00"} {
		w.call(http.MethodGet, "/shipments/"+id, "").refused(t, http.StatusNotFound, "not-found")
		w.call(http.MethodPost, "/shipments/"+id+"/dispatch", parcel).refused(t, http.StatusNotFound, "not-found")
	}
	w.call(http.MethodPost, "/shipments/"+order+"/dispatch", parcel, `If-Match: "7"`).
		refused(t, http.StatusPreconditionFailed, "stale")
	for name, c := range map[string]struct {
		body, location string
	}{
		"no carrier":         {`{"trackingNumber":"JD014"}`, "body"},
		"blank carrier":      {`{"carrier":" ","trackingNumber":"JD014"}`, "body.carrier"},
		"no number":          {`{"carrier":"DHL","trackingNumber":""}`, "body.trackingNumber"},
		"control characters": {`{"carrier":"DHL","trackingNumber":"J\nD"}`, "body.trackingNumber"},
		"unknown field":      {`{"carrier":"DHL","trackingNumber":"JD014","weight":1}`, "body.weight"},
	} {
		t.Run(name, func(t *testing.T) {
			w.call(http.MethodPost, "/shipments/"+order+"/dispatch", c.body).
				refused(t, http.StatusUnprocessableEntity, "invalid-request", c.location)
		})
	}
	if shipment := w.call(http.MethodGet, "/shipments/"+order, ""); shipment.body["status"] != "ready" {
		t.Errorf("got %v, want it ready still", shipment.body)
	}
}
