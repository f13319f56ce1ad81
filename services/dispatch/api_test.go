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
		w.Start()
		customer := newID()
		var newest []string
		for i := range 5 {
			order := newID()
			e := packed(order, customer)
			e.Time = e.Time.AddDate(0, 0, i/2) // some share an instant: then the id decides
			w.Publish(e)
			newest = append(newest, order)
		}
		slices.Reverse(newest)
		for _, order := range newest {
			w.hasShipment(order, "ready")
		}
		w.Publish(cancelled(newest[1]))
		w.hasShipment(newest[1], "cancelled")

		var pages [][]string
		path := "/shipments?limit=2"
		for path != "" {
			page := w.Get(path)
			pages = append(pages, page.Items("orderId"))
			path = ""
			if next, ok := page.Fields()["nextCursor"].(string); ok {
				path = "/shipments?limit=2&cursor=" + next
			}
		}
		if diff := cmp.Diff([][]string{newest[:2], newest[2:4], newest[4:]}, pages); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		for status, want := range map[string][]string{
			"cancelled": {newest[1]}, "ready": slices.Delete(slices.Clone(newest), 1, 2), "dispatched": {},
		} {
			if diff := cmp.Diff(want, w.Get("/shipments?status="+status).Items("orderId")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", status, diff)
			}
		}
		w.Get("/shipments?status=lost").Refused(http.StatusUnprocessableEntity, "invalid-request", "query.status")
		w.Get("/shipments?cursor=xyz").Refused(http.StatusUnprocessableEntity, "invalid-request", "query.cursor")
	})
}

func TestRequestsThatMakeNoSenseAreRefusedAtTheDoor(t *testing.T) {
	w := newWorld(t, "sqlite://"+t.TempDir()+"/dispatch.db")
	w.Start()
	order, customer := newID(), newID()
	w.Publish(created(customer, "Ada"), packed(order, customer))
	w.hasShipment(order, "ready")
	w.livesAt(order, "1 First Street")

	const parcel = `{"carrier":"DHL","trackingNumber":"JD014"}`
	for _, id := range []string{"nonsense", newID(), strings.ToUpper(order), "%00"} {
		w.Get("/shipments/"+id).Refused(http.StatusNotFound, "not-found")
		w.Call(http.MethodPost, "/shipments/"+id+"/dispatch", parcel).Refused(http.StatusNotFound, "not-found")
	}
	w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", parcel, "If-Match", `"7"`).
		Refused(http.StatusPreconditionFailed, "stale")
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
			w.Call(http.MethodPost, "/shipments/"+order+"/dispatch", c.body).In(t).
				Refused(http.StatusUnprocessableEntity, "invalid-request", c.location)
		})
	}
	if shipment := w.Get("/shipments/" + order); shipment.Fields()["status"] != "ready" {
		t.Errorf("got %v, want it ready still", shipment.Fields())
	}
}
