package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/google/uuid"
)

func withKey(key string) map[string]string { return map[string]string{"Idempotency-Key": key} }

func sameKeySameOrder(w *world) {
	anna, piet := w.Customer("Anna"), w.Customer("Piet")
	w.Product("tea", 450, "EUR")
	key := withKey("key of " + w.scene)

	first := anna.OrdersWith(key, line("tea", 2))
	again := anna.OrdersWith(key, line("tea", 2))
	if again.OrderID != first.OrderID || again.Total != first.Total {
		w.t.Errorf("the same call gave %s and %s", first.OrderID, again.OrderID)
	}
	// White space and the order of fields do not make another body.
	rewritten := fmt.Sprintf(`{ "lines": [ {"quantity":2, "sku":%q} ], "customerId": %q }`, w.sku("tea"), anna.CustomerID)
	a := w.call(request{"order", http.MethodPost, "/orders", rewritten, key})
	if o, err := parse[order](a); err != nil || a.status != http.StatusCreated || o.OrderID != first.OrderID {
		w.t.Errorf("the same call written otherwise: %d %s", a.status, a.body)
	}
	other := w.call(request{"order", http.MethodPost, "/orders", anna.orderBody(line("tea", 3)), key})
	if err := refusedWith(other, http.StatusUnprocessableEntity, "idempotency-key-reused", "header.Idempotency-Key"); err != nil {
		w.t.Errorf("the same key with another body: %v", err)
	}
	if his := piet.OrdersWith(key, line("tea", 2)); his.OrderID == first.OrderID {
		w.t.Error("the key of one customer gave another the same order")
	}
	// The key stays what it is when the order has moved on.
	first.IsCancelled("no longer needed")
	if later := anna.OrdersWith(key, line("tea", 2)); later.OrderID != first.OrderID {
		w.t.Errorf("after cancelling, the same call gave %s instead of %s", later.OrderID, first.OrderID)
	}
	w.onlyOrders(anna, first)

	// A refused request is not remembered.
	unlisted := withKey("refused, then possible " + w.scene)
	refused := w.call(request{"order", http.MethodPost, "/orders", anna.orderBody(line("later", 1)), unlisted})
	if err := refusedWith(refused, http.StatusConflict, "unknown-product", "body.lines[0].sku"); err != nil {
		w.t.Error(err)
	}
	w.Product("later", 100, "EUR")
	anna.OrdersWith(unlisted, line("later", 1))
}

func sameKeyAtOnce(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	anna.Orders(line("tea", 1)).IsCancelled("only to see that everything is known by now")
	key := withKey(uuid.NewString())

	answers := make([]answer, 16)
	errs := make([]error, len(answers))
	var done sync.WaitGroup
	for i := range answers {
		done.Go(func() {
			answers[i], errs[i] = w.send(w.t.Context(), request{"order", http.MethodPost, "/orders", anna.orderBody(line("tea", 5)), key})
		})
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		w.t.Fatal(err)
	}
	ids := map[string]int{}
	for _, a := range answers {
		if err := a.must(http.StatusCreated); err != nil {
			w.t.Fatal(err)
		}
		ids[w.placed(a).OrderID]++
	}
	if len(ids) != 1 {
		w.t.Errorf("sixteen calls gave %v", ids)
	}
	for id := range ids {
		w.theStreamHolds(&order{w: w, OrderID: id}, "order-placed")
	}
}

// onlyOrders waits until the list shows that the customer has these orders and
// no others.
func (w *world) onlyOrders(c *customer, orders ...*order) {
	w.t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for _, o := range orders {
		want[o.OrderID] = o.Now().Status
	}
	w.Eventually("the list shows "+strconv.Itoa(len(orders))+" orders", func() error {
		listed, err := all[order](w, "order", "/orders?limit=1&customerId="+c.CustomerID)
		if err != nil {
			return err
		}
		clear(got)
		for _, o := range listed {
			show(got, o.OrderID, o.Status)
		}
		return same("orders of the customer", want, got)
	})
}

func staleChangeIsRefused(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 1))
	anna.Moves(address{Line1: "1 High Street", City: "Leeds", Postcode: "LS1 1AA", Country: "GB"})
	stale := map[string]string{"If-Match": `"0"`}

	for _, r := range []request{
		{"customer", http.MethodPut, "/customers/" + anna.CustomerID + "/contact", map[string]string{"name": "B", "email": "b@example.com"}, stale},
		{"customer", http.MethodPut, "/customers/" + anna.CustomerID + "/address", anna.Address, stale},
		{"customer", http.MethodPost, "/customers/" + anna.CustomerID + "/deactivate", map[string]string{"reason": "no"}, stale},
		{"customer", http.MethodPost, "/customers/" + anna.CustomerID + "/forget", nil, map[string]string{"If-Match": `W/"1"`}},
		{"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", map[string]string{"reason": "no"}, map[string]string{"If-Match": `"7"`}},
		{"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", map[string]string{"reason": "no"}, map[string]string{"If-Match": `"nonsense"`}},
		{"catalog", http.MethodPut, "/products/" + w.sku("tea") + "/price", money{1, "EUR"}, map[string]string{"If-Match": `"7"`}},
	} {
		if err := refusedWith(w.call(r), http.StatusPreconditionFailed, "stale", ""); err != nil {
			w.t.Errorf("%s %s: %v", r.method, r.path, err)
		}
	}
	if now := o.Now(); now.Status != "placed" || now.Version != 0 {
		w.t.Errorf("the order afterwards: %+v", now)
	}
	w.Packer().Sees(o, "pending")
	a := w.call(request{
		"packing", http.MethodPost, "/jobs/" + o.OrderID + "/pack", map[string]string{"packedBy": "Piet"}, map[string]string{"If-Match": `"99"`},
	})
	if err := refusedWith(a, http.StatusPreconditionFailed, "stale", ""); err != nil {
		w.t.Errorf("packing another version: %v", err)
	}
	// The version that is really there is let through.
	a = w.call(request{
		"customer", http.MethodPut, "/customers/" + anna.CustomerID + "/contact",
		map[string]string{"name": "Anna B.", "email": "b@example.com"},
		map[string]string{"If-Match": `"9", "1"`},
	})
	if err := a.must(http.StatusOK); err != nil || a.header.Get("ETag") != `"2"` {
		w.t.Errorf("a change of the current version: ETag %s, %v", a.header.Get("ETag"), err)
	}
	// Nobody asks for protection by a header without a value and gets none.
	a = w.call(request{
		"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", map[string]string{"reason": "no"}, map[string]string{"If-Match": ""},
	})
	if err := refusedWith(a, http.StatusUnprocessableEntity, "invalid-request", "header.If-Match"); err != nil {
		w.t.Errorf("an empty If-Match: %v", err)
	}
}

func listsHaveAnOrderAndEnd(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	var placed []*order
	for n := range 5 {
		placed = append(placed, anna.Orders(line("tea", int64(n+1))))
	}
	placed[2].IsCancelled("the third one")
	w.onlyOrders(anna, placed...)

	for limit := range 6 {
		path := "/orders?limit=" + strconv.Itoa(limit+1) + "&customerId=" + anna.CustomerID
		listed, err := all[order](w, "order", path)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(listed) != 5 {
			w.t.Fatalf("%s has %d orders", path, len(listed))
		}
		for i, o := range listed {
			if newest := placed[4-i]; o.OrderID != newest.OrderID {
				w.t.Errorf("%s: order %d from the newest is %s, want %s", path, i, o.OrderID, newest.OrderID)
			}
		}
	}
	w.Eventually("the list shows what was cancelled", func() error {
		cancelled, err := all[order](w, "order", "/orders?status=cancelled&customerId="+anna.CustomerID)
		if err == nil && (len(cancelled) != 1 || cancelled[0].OrderID != placed[2].OrderID) {
			err = fmt.Errorf("%d cancelled orders", len(cancelled))
		}
		return err
	})
}
