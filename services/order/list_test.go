package order_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
)

// pages reads a list to its end.
func (w *world) pages(path string) []map[string]any {
	w.t.Helper()
	items := []map[string]any{}
	for cursor := ""; ; {
		var page struct {
			Items      []map[string]any
			NextCursor *string
		}
		w.Get(path + cursor).Want(http.StatusOK).Into(&page)
		if page.Items == nil {
			w.t.Fatalf("%s: items are no list", path)
		}
		items = append(items, page.Items...)
		if page.NextCursor == nil {
			return items
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

func orderIDs(items []map[string]any) []string {
	list := []string{}
	for _, item := range items {
		id, _ := item["orderId"].(string)
		list = append(list, id)
	}
	return list
}

func TestTheListShowsOrdersNewestFirst(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	if items := w.pages("/orders?limit=1"); len(items) != 0 {
		t.Errorf("%v", items)
	}
	ann, bob := w.customer(), w.customer()
	var all, anns, cancelled []string
	for i := range 7 {
		customer := []string{ann, bob}[i%2]
		id := w.placed(customer)
		version := 0.0
		if i%3 == 0 {
			w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK)
			version = 1
			cancelled = append(cancelled, id)
		}
		if customer == ann {
			anns = append(anns, id)
		}
		all = append(all, id)
		w.shown(id, version)
	}
	for path, want := range map[string][]string{
		"/orders?limit=2":                                       all,
		"/orders?limit=100":                                     all,
		"/orders?limit=3&customerId=" + ann:                     anns,
		"/orders?limit=1&status=cancelled":                      cancelled,
		"/orders?status=dispatched&limit=5":                     nil,
		"/orders?limit=1&customerId=" + fresh():                 nil,
		"/orders?limit=1&customerId=" + strings.ToUpper(ann):    anns,
		"/orders?limit=1&status=cancelled&customerId=" + all[0]: nil,
	} {
		want = append([]string{}, want...)
		slices.Reverse(want)
		if diff := cmp.Diff(want, orderIDs(w.pages(path))); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	// An item is what the order itself is.
	var whole map[string]any
	w.Get("/orders/" + all[0]).Want(http.StatusOK).Into(&whole)
	items := w.pages("/orders?limit=100")
	if diff := cmp.Diff(whole, items[len(items)-1]); diff != "" {
		t.Error(diff)
	}
}

func TestAListIsNotAskedForNonsense(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	coded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for path, location := range map[string]string{
		"/orders?limit=0":                                     "query.limit",
		"/orders?limit=101":                                   "query.limit",
		"/orders?limit=many":                                  "query.limit",
		"/orders?status=lost":                                 "query.status",
		"/orders?customerId=ann":                              "query.customerId",
		"/orders?customer=" + id:                              "query.customer",
		"/orders?cursor=x":                                    "query.cursor",
		"/orders?cursor=%00":                                  "query.cursor",
		"/ledger?cursor=x":                                    "query.cursor",
		"/deadletters?cursor=x":                               "query.cursor",
		"/deadletters?limit=0":                                "query.limit",
		"/orders/" + id + "/history?cursor=x":                 "query.cursor",
		"/orders/" + id + "/history?limit=0":                  "query.limit",
		"/orders?cursor=" + coded(`[1]`):                      "query.cursor",
		"/orders?cursor=" + coded(`["a","b"]`):                "query.cursor",
		"/orders?cursor=" + coded(`[1,"`+`\u0000`+`"]`):       "query.cursor",
		"/orders?cursor=" + coded(`[1,null]`):                 "query.cursor",
		"/orders/" + id + "/history?cursor=" + coded(`["x"]`): "query.cursor",
		"/orders/" + id + "/history?cursor=" + coded(`[9223372036854775807]`): "query.cursor",
	} {
		w.Get(path).Refused(422, "invalid-request", location)
	}
}

func TestTheHistoryIsTheStream(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	id := w.placed(customer, "Idempotency-Key", "k", "X-Correlation-ID", "corr")
	packed := w.tell("packing.events.packed.v1", id, 1, fields{"orderId": id, "customerId": customer, "packedBy": "Piet"})
	w.told(id, "packed")
	w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK)

	events := w.store.Events(t, "order-"+id)
	for _, limit := range []int{1, 2, 3, 50} {
		items := w.pages("/orders/" + id + "/history?limit=" + strconv.Itoa(limit))
		if len(items) != 3 {
			t.Fatalf("%d items in pages of %d", len(items), limit)
		}
		for i, item := range items {
			if item["revision"] != float64(i) || item["eventId"] != events[i].EventID.String() || item["type"] != events[i].EventType ||
				item["version"] != []float64{2, 1, 2}[i] || item["at"] == "" {
				t.Errorf("item %d: %v", i, item)
			}
		}
	}
	var page struct {
		Items []struct {
			Type     string
			Data     map[string]any
			Metadata map[string]any
		}
	}
	w.Get("/orders/" + id + "/history").Want(http.StatusOK).Into(&page)
	for i, want := range []string{"order-placed", "order-packed", "order-cancelled"} {
		if page.Items[i].Type != want || page.Items[i].Metadata["$correlationId"] == "" {
			t.Errorf("item %d: %+v", i, page.Items[i])
		}
	}
	placed := page.Items[0]
	if placed.Metadata["request"] != "POST /orders" || placed.Metadata["$correlationId"] != "corr" || placed.Metadata["bodyHash"] == "" ||
		placed.Data["customerId"] != customer {
		t.Errorf("placed: %+v", placed)
	}
	if page.Items[1].Metadata["$causationId"] != packed.ID {
		t.Errorf("packed because of %v, want %s", page.Items[1].Metadata["$causationId"], packed.ID)
	}
	if page.Items[2].Metadata["$correlationId"] != "corr" {
		t.Errorf("the cancellation is not part of the order's correlation: %v", page.Items[2].Metadata)
	}
	past := "/orders/" + id + "/history?cursor=" + base64.RawURLEncoding.EncodeToString([]byte(`[99]`))
	if a := w.Get(past).Want(http.StatusOK); string(a.Body) != `{"items":[]}`+"\n" {
		t.Errorf("past the end: %s", a.Body)
	}
	w.Get("/orders/"+cause.NewID().String()+"/history").Refused(404, "not-found")
}
