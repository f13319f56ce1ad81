package catalog_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/sqldb/sqldbtest"
)

const mug = `{"sku":"mug","name":"Mug","price":{"amount":1250,"currency":"EUR"}}`

// product is the body that a product has.
func product(sku, name string, amount, version float64) map[string]any {
	return map[string]any{
		"sku": sku, "name": name, "version": version, "price": map[string]any{"amount": amount, "currency": "EUR"},
	}
}

func TestAProductIsListedAndItsPricesAreAnnouncedInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		listed := w.Call(http.MethodPost, "/products", mug)
		if listed.Status != http.StatusCreated || listed.Header.Get("Location") != "/products/mug" || listed.Header.Get("ETag") != `"0"` {
			t.Errorf("got %d, headers %v", listed.Status, listed.Header)
		}
		if diff := cmp.Diff(product("mug", "Mug", 1250, 0), listed.Fields()); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
		w.Call(http.MethodPost, "/products", mug).Refused(http.StatusConflict, "duplicate-sku")

		for i, amount := range []float64{1300, 1300, 1250} {
			version := []float64{1, 1, 2}[i] // the same price again is no change
			a := w.Call(http.MethodPut, "/products/mug/price", fmt.Sprintf(`{"amount":%v,"currency":"EUR"}`, amount))
			if diff := cmp.Diff(product("mug", "Mug", amount, version), a.Fields()); a.Status != http.StatusOK || diff != "" {
				t.Errorf("got %d (-want +got):\n%s", a.Status, diff)
			}
			if want := fmt.Sprintf(`"%v"`, version); a.Header.Get("ETag") != want {
				t.Errorf("ETag is %s, want %s", a.Header.Get("ETag"), want)
			}
		}
		w.Call(http.MethodPut, "/products/mug/price", `{"amount":1,"currency":"USD"}`).Refused(http.StatusConflict, "currency-differs")
		w.Call(http.MethodPut, "/products/mug/price", `{"amount":1,"currency":"EUR"}`, "If-Match", `"1"`).
			Refused(http.StatusPreconditionFailed, "stale")
		if diff := cmp.Diff(product("mug", "Mug", 1250, 2), w.Get("/products/mug").Fields()); diff != "" {
			t.Errorf("in the end (-want +got):\n%s", diff)
		}

		w.Call(http.MethodPost, "/products", strings.ReplaceAll(mug, "mug", "last")) // marks the end
		sqldbtest.Eventually(t, "the last one is announced", func() bool {
			said := w.Said()
			return len(said) > 0 && said[len(said)-1].Subject == "last"
		})
		var got []string
		for _, e := range w.Said() {
			contractstest.Valid(t, e)
			got = append(got, fmt.Sprintf("%s %s %d", e.Type, e.Subject, e.Sequence))
		}
		if diff := cmp.Diff([]string{
			"catalog.events.product_listed.v1 mug 0",
			"catalog.events.price_changed.v1 mug 1",
			"catalog.events.price_changed.v1 mug 2",
			"catalog.events.product_listed.v1 last 0",
		}, got); diff != "" {
			t.Errorf("announced (-want +got):\n%s", diff)
		}
	})
}

func TestProductsArePagedNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		newest := []string{"e", "d", "c", "b", "A"}
		for _, sku := range slices.Backward(newest) {
			w.Call(http.MethodPost, "/products", strings.ReplaceAll(mug, "mug", sku))
		}
		var pages [][]string
		path := "/products?limit=2"
		for path != "" {
			page := w.Get(path)
			pages = append(pages, page.Items("sku"))
			path = ""
			if next, ok := page.Fields()["nextCursor"].(string); ok {
				path = "/products?limit=2&cursor=" + next
			}
		}
		if diff := cmp.Diff([][]string{newest[:2], newest[2:4], newest[4:]}, pages); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		ledger := w.Get("/ledger").Items("subject")
		slices.Sort(ledger)
		if diff := cmp.Diff([]string{"A", "b", "c", "d", "e"}, ledger); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
	})
}

func TestWhatWasListedBeforeAStopIsAnnouncedAfterIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := w.Start()
		w.Call(http.MethodPost, "/products", strings.ReplaceAll(mug, "mug", "first"))
		sqldbtest.Eventually(t, "the first one is announced", func() bool { return len(w.Said()) == 1 })
		w.Call(http.MethodPost, "/products", mug)
		stop()
		w.Start()
		sqldbtest.Eventually(t, "the second one is announced", func() bool { return len(w.Said()) == 2 })
		if diff := cmp.Diff(product("mug", "Mug", 1250, 0), w.Get("/products/mug").Fields()); diff != "" {
			t.Errorf("after the stop (-want +got):\n%s", diff)
		}
	})
}

func TestRequestsThatMakeNoSenseAreRefusedAtTheDoor(t *testing.T) {
	w := newWorld(t, "sqlite://"+t.TempDir()+"/catalog.db")
	w.Start()
	for name, c := range map[string]struct {
		body, location string
	}{
		"no price":          {`{"sku":"mug","name":"Mug"}`, "body"},
		"blank name":        {`{"sku":"mug","name":" ","price":{"amount":1,"currency":"EUR"}}`, "body.name"},
		"bad sku":           {`{"sku":"a/b","name":"Mug","price":{"amount":1,"currency":"EUR"}}`, "body.sku"},
		"long sku":          {`{"sku":"` + strings.Repeat("x", 65) + `","name":"Mug","price":{"amount":1,"currency":"EUR"}}`, "body.sku"},
		"negative price":    {`{"sku":"mug","name":"Mug","price":{"amount":-1,"currency":"EUR"}}`, "body.price.amount"},
		"price too high":    {`{"sku":"mug","name":"Mug","price":{"amount":9007199254740992,"currency":"EUR"}}`, "body.price.amount"},
		"half a cent":       {`{"sku":"mug","name":"Mug","price":{"amount":0.5,"currency":"EUR"}}`, "body.price.amount"},
		"lower-case letter": {`{"sku":"mug","name":"Mug","price":{"amount":1,"currency":"eur"}}`, "body.price.currency"},
		"unknown field":     {`{"sku":"mug","name":"Mug","price":{"amount":1,"currency":"EUR"},"colour":"red"}`, "body.colour"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Call(http.MethodPost, "/products", c.body).In(t).Refused(http.StatusUnprocessableEntity, "invalid-request", c.location)
		})
	}
	for _, sku := range []string{"mug", "%00", "-mug", "a%2Fb", strings.Repeat("x", 65)} {
		w.Get("/products/"+sku).Refused(http.StatusNotFound, "not-found")
		w.Call(http.MethodPut, "/products/"+sku+"/price", `{"amount":1,"currency":"EUR"}`).Refused(http.StatusNotFound, "not-found")
	}
	w.Get("/products?cursor=xyz").Refused(http.StatusUnprocessableEntity, "invalid-request", "query.cursor")
	w.Get("/products?cursor=WzEsMl0").Refused(http.StatusUnprocessableEntity, "invalid-request", "query.cursor")
	trace := w.Get("/trace/0190a0a0-0000-7000-8000-00000000000c")
	if trace.Status != http.StatusOK || len(trace.Items("kind")) != 0 {
		t.Errorf("got %d %v, want a trace with no items", trace.Status, trace.Fields())
	}
}
