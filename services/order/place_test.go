package order_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
)

func TestAnOrderIsPlacedAtTodaysPricesAndAnnounced(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	w.product("plate", 990, "EUR")
	customer := w.customer()
	began := time.Now()
	a := w.Call("POST", "/orders", fields{"customerId": customer, "lines": []fields{
		{"sku": "mug", "quantity": 2}, {"sku": "plate", "quantity": 1},
	}}).Want(http.StatusCreated)

	id := a.Text("orderId")
	if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 7 {
		t.Errorf("id %q", id)
	}
	if a.Header.Get("Location") != "/orders/"+id || a.Header.Get("ETag") != `"0"` || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.Header)
	}
	at, err := time.Parse(time.RFC3339, a.Text("placedAt"))
	if err != nil || at.Before(began) || !strings.HasSuffix(a.Text("placedAt"), "Z") {
		t.Errorf("placed at %q", a.Text("placedAt"))
	}
	var got fields
	a.Into(&got)
	want := fields{
		"orderId": id, "customerId": customer, "status": "placed", "version": 0.0, "placedAt": a.Text("placedAt"),
		"lines": []any{
			fields{"sku": "mug", "name": "The mug", "quantity": 2.0, "unitPrice": fields{"amount": 1250.0, "currency": "EUR"}},
			fields{"sku": "plate", "name": "The plate", "quantity": 1.0, "unitPrice": fields{"amount": 990.0, "currency": "EUR"}},
		},
		"total": fields{"amount": 3490.0, "currency": "EUR"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	read := w.Get("/orders/" + id).Want(http.StatusOK)
	if string(read.Body) != string(a.Body) || read.Header.Get("ETag") != `"0"` {
		t.Errorf("read again: ETag %s, %s", read.Header.Get("ETag"), read.Body)
	}
	contractstest.Valid(t, w.Hears("order.events.placed.v1", id))

	// A later price is for later orders.
	w.tell("catalog.events.price_changed.v1", "mug", 1, fields{"sku": "mug", "oldPrice": price(1250, "EUR"), "newPrice": price(1500, "EUR")})
	for {
		var later struct {
			Total struct{ Amount int64 } `json:"total"`
		}
		w.Call("POST", "/orders", mugFor(customer)).Want(http.StatusCreated).Into(&later)
		if later.Total.Amount == 1500 {
			break
		}
		if t.Context().Err() != nil || later.Total.Amount != 1250 {
			t.Fatalf("a mug for %d", later.Total.Amount)
		}
	}
	if again := w.Get("/orders/" + id); string(again.Body) != string(a.Body) {
		t.Errorf("an old order has a new price: %s", again.Body)
	}
}

func TestAnOrderThatBreaksARuleIsRefusedAndLeavesNothing(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	w.product("dollar-mug", 1400, "USD")
	w.product("palace", 1_000_000_000_000, "EUR")
	customer, gone := w.customer(), w.customer()
	w.deactivate(gone)
	line := func(sku string, quantity int64) fields { return fields{"sku": sku, "quantity": quantity} }
	lines := func(lines ...fields) fields { return fields{"customerId": customer, "lines": lines} }
	many := make([]fields, 101)
	for i := range many {
		many[i] = line(fresh(), 1)
	}

	for name, test := range map[string]struct {
		body   any
		status int
		code   string
		at     []string
	}{
		"unknown customer":     {mugFor(fresh()), 409, "unknown-customer", []string{"body.customerId"}},
		"deactivated customer": {mugFor(gone), 409, "customer-deactivated", []string{"body.customerId"}},
		"unknown product":      {lines(line("mug", 1), line("jug", 1)), 409, "unknown-product", []string{"body.lines[1].sku"}},
		"same sku":             {lines(line("mug", 1), line("mug", 2)), 422, "invalid-request", []string{"body.lines[1].sku"}},
		"mixed currencies":     {lines(line("mug", 1), line("dollar-mug", 1)), 422, "invalid-request", []string{"body.lines[1].sku"}},
		"product too large":    {lines(line("mug", 1), line("palace", 1e9)), 422, "invalid-request", []string{"body.lines[1].quantity"}},
		"sum too large":        {lines(line("palace", 1), line("mug", 1)), 422, "invalid-request", []string{"body.lines[1].quantity"}},
		"quantity 0":           {lines(line("mug", 1), line("jug", 0)), 422, "invalid-request", []string{"body.lines[1].quantity"}},
		"quantity below 0":     {lines(line("mug", -1)), 422, "invalid-request", []string{"body.lines[0].quantity"}},
		"quantity beyond all":  {lines(line("mug", math.MaxInt64)), 422, "invalid-request", []string{"body.lines[0].quantity"}},
		"quantity a text":      {lines(fields{"sku": "mug", "quantity": "1"}), 422, "invalid-request", []string{"body.lines[0].quantity"}},
		"quantity a fraction":  {lines(fields{"sku": "mug", "quantity": 1.5}), 422, "invalid-request", []string{"body.lines[0].quantity"}},
		"no quantity":          {lines(fields{"sku": "mug"}), 422, "invalid-request", []string{"body.lines[0]"}},
		"sku empty":            {lines(line("", 1)), 422, "invalid-request", nil},
		"sku with a NUL":       {lines(line("m\x00g", 1)), 422, "invalid-request", []string{"body.lines[0].sku"}},
		"no lines":             {lines(), 422, "invalid-request", []string{"body.lines"}},
		"too many lines":       {lines(many...), 422, "invalid-request", []string{"body.lines"}},
		"lines missing":        {fields{"customerId": customer}, 422, "invalid-request", []string{"body"}},
		"customer no id":       {mugFor("ann"), 422, "invalid-request", []string{"body.customerId"}},
		"unknown field":        {fields{"customerId": customer, "lines": []fields{line("mug", 1)}, "total": 0}, 422, "invalid-request", []string{"body.total"}},
		"unknown field inside": {lines(fields{"sku": "mug", "quantity": 1, "price": 1}), 422, "invalid-request", []string{"body.lines[0].price"}},
		"malformed":            {`{"customerId":`, 400, "malformed-body", nil},
		"too large":            {`{"customerId":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "body-too-large", nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.Call("POST", "/orders", test.body, "Idempotency-Key", fresh()).In(t)
			a.Refused(test.status, test.code, test.at...)
			retry := ""
			if test.code == "unknown-customer" || test.code == "unknown-product" {
				retry = "1"
			}
			if a.Header.Get("Retry-After") != retry {
				t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
		})
	}
	w.Call("POST", "/orders", "<order/>", "Content-Type", "application/xml").Refused(415, "unsupported-media-type")
	if a := w.Call("DELETE", "/orders", nil).Refused(405, "method-not-allowed"); !strings.Contains(a.Header.Get("Allow"), "POST") {
		t.Errorf("Allow: %s", a.Header.Get("Allow"))
	}
	if streams := w.streams(); len(streams) > 0 {
		t.Errorf("refused orders left %v", streams)
	}
}

func TestTheLargestTotalIsTaken(t *testing.T) {
	w := start(t)
	w.product("palace", 1_000_000_000_000, "EUR")
	a := w.Call("POST", "/orders", fields{"customerId": w.customer(), "lines": []fields{{"sku": "palace", "quantity": 1}}}).Want(http.StatusCreated)
	if !strings.Contains(string(a.Body), `"total":{"amount":1000000000000,"currency":"EUR"}`) {
		t.Errorf("%s", a.Body)
	}
}

// Nothing that tells who somebody is may be in the streams of orders: they are
// kept for ever.
func TestStreamsOfOrdersHoldNoPersonalData(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	w.Call("POST", "/orders/"+id+"/cancel", fields{"reason": "too late"}).Want(http.StatusOK)
	for _, e := range w.store.All(t) {
		for _, personal := range []string{"Ann", "Doe", "ann@example.com"} {
			if strings.Contains(string(e.Data)+string(e.UserMetadata), personal) {
				t.Errorf("%q in %s: %s %s", personal, e.EventType, e.Data, e.UserMetadata)
			}
		}
	}
}
