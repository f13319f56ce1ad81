package catalog_test

import (
	"net/http"
	"testing"
)

func TestEveryCommandRestsOnItsAnnouncement(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		w.RestsOn(w.Call(http.MethodPost, "/products", mug).Want(http.StatusCreated), "catalog.events.product_listed.v1", 0)
		for range 2 { // the second changes nothing, and rests on the first
			a := w.Call(http.MethodPut, "/products/mug/price", `{"amount":1300,"currency":"EUR"}`).Want(http.StatusOK)
			w.RestsOn(a, "catalog.events.price_changed.v1", 1)
		}
	})
}
