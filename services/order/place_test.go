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
	a := w.call("POST", "/orders", fields{"customerId": customer, "lines": []fields{
		{"sku": "mug", "quantity": 2}, {"sku": "plate", "quantity": 1},
	}}).want(http.StatusCreated)

	id := a.str("orderId")
	if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 7 {
		t.Errorf("id %q", id)
	}
	if a.header.Get("Location") != "/orders/"+id || a.header.Get("ETag") != `"0"` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.header)
	}
	at, err := time.Parse(time.RFC3339, a.str("placedAt"))
	if err != nil || at.Before(began) || !strings.HasSuffix(a.str("placedAt"), "Z") {
		t.Errorf("placed at %q", a.str("placedAt"))
	}
	var got fields
	a.into(&got)
	want := fields{
		"orderId": id, "customerId": customer, "status": "placed", "version": 0.0, "placedAt": a.str("placedAt"),
		"lines": []any{
			fields{"sku": "mug", "name": "The mug", "quantity": 2.0, "unitPrice": fields{"amount": 1250.0, "currency": "EUR"}},
			fields{"sku": "plate", "name": "The plate", "quantity": 1.0, "unitPrice": fields{"amount": 990.0, "currency": "EUR"}},
		},
		"total": fields{"amount": 3490.0, "currency": "EUR"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	read := w.call("GET", "/orders/"+id, nil).want(http.StatusOK)
	if string(read.body) != string(a.body) || read.header.Get("ETag") != `"0"` {
		t.Errorf("read again: ETag %s, %s", read.header.Get("ETag"), read.body)
	}
	contractstest.Valid(t, w.heard("order.events.placed.v1", id))

	// A later price is for later orders.
	w.tell("catalog.events.price_changed.v1", "mug", 1, fields{"sku": "mug", "oldPrice": price(1250, "EUR"), "newPrice": price(1500, "EUR")})
	for {
		var later struct {
			Total struct{ Amount int64 } `json:"total"`
		}
		w.call("POST", "/orders", mugFor(customer)).want(http.StatusCreated).into(&later)
		if later.Total.Amount == 1500 {
			break
		}
		if t.Context().Err() != nil || later.Total.Amount != 1250 {
			t.Fatalf("a mug for %d", later.Total.Amount)
		}
	}
	if again := w.call("GET", "/orders/"+id, nil); string(again.body) != string(a.body) {
		t.Errorf("an old order has a new price: %s", again.body)
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
			a := w.call("POST", "/orders", test.body, "Idempotency-Key", fresh())
			a.t = t
			a.refused(test.status, test.code, test.at...)
			retry := ""
			if test.code == "unknown-customer" || test.code == "unknown-product" {
				retry = "1"
			}
			if a.header.Get("Retry-After") != retry {
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
			}
		})
	}
	w.call("POST", "/orders", "<order/>", "Content-Type", "application/xml").refused(415, "unsupported-media-type")
	if a := w.call("DELETE", "/orders", nil).refused(405, "method-not-allowed"); !strings.Contains(a.header.Get("Allow"), "POST") {
		t.Errorf("Allow: %s", a.header.Get("Allow"))
	}
	if streams := w.streams(); len(streams) > 0 {
		t.Errorf("refused orders left %v", streams)
	}
}

func TestTheLargestTotalIsTaken(t *testing.T) {
	w := start(t)
	w.product("palace", 1_000_000_000_000, "EUR")
	a := w.call("POST", "/orders", fields{"customerId": w.customer(), "lines": []fields{{"sku": "palace", "quantity": 1}}}).want(http.StatusCreated)
	if !strings.Contains(string(a.body), `"total":{"amount":1000000000000,"currency":"EUR"}`) {
		t.Errorf("%s", a.body)
	}
}

// Nothing that tells who somebody is may be in the streams of orders: they are
// kept for ever.
func TestStreamsOfOrdersHoldNoPersonalData(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	w.call("POST", "/orders/"+id+"/cancel", fields{"reason": "too late"}).want(http.StatusOK)
	for _, e := range w.store.All(t) {
		for _, personal := range []string{"Ann", "Doe", "ann@example.com"} {
			if strings.Contains(string(e.Data)+string(e.UserMetadata), personal) {
				t.Errorf("%q in %s: %s %s", personal, e.EventType, e.Data, e.UserMetadata)
			}
		}
	}
}
