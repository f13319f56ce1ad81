package order_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestTheSameCallWithTheSameKeyIsTheSameOrder(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer, other := w.customer(), w.customer()
	key := fresh()
	first := w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).want(http.StatusCreated)
	again := w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).want(http.StatusCreated)
	if string(first.body) != string(again.body) || again.header.Get("ETag") != first.header.Get("ETag") ||
		again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("first %s, then %s", first.body, again.body)
	}
	// The same body in other letters is the same body.
	spaced := `{ "lines": [ {"quantity":1, "sku":"m\u0075g"} ], "customerId": "` + strings.ToUpper(customer) + `" }`
	if a := w.call("POST", "/orders", spaced, "Idempotency-Key", key).want(http.StatusCreated); string(a.body) != string(first.body) {
		t.Errorf("in other letters: %s", a.body)
	}
	if a := w.call("POST", "/orders", mugFor(other), "Idempotency-Key", key).want(http.StatusCreated); a.str("orderId") == first.str("orderId") {
		t.Error("two customers share a key")
	}
	if a := w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", fresh()).want(http.StatusCreated); a.str("orderId") == first.str("orderId") {
		t.Error("two keys share an order")
	}
	if one, two := w.placed(customer), w.placed(customer); one == two {
		t.Error("without a key every call is an order")
	}
	if streams := w.streams(); len(streams) != 5 {
		t.Errorf("%d streams, want 5: %v", len(streams), streams)
	}
}

func TestTheSameKeyWithAnotherBodyIsRefused(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer, key := w.customer(), fresh()
	first := w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).want(http.StatusCreated)
	for _, body := range []any{
		fields{"customerId": customer, "lines": []fields{{"sku": "mug", "quantity": 2}}},
		fields{"customerId": customer, "lines": []fields{{"sku": "jug", "quantity": 1}}}, // not even known
	} {
		w.call("POST", "/orders", body, "Idempotency-Key", key).refused(422, "idempotency-key-reused", "header.Idempotency-Key")
	}
	w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", strings.Repeat("k", 201)).refused(422, "invalid-request")
	if again := w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).want(http.StatusCreated); string(again.body) != string(first.body) {
		t.Errorf("it has changed: %s", again.body)
	}
	if streams := w.streams(); len(streams) != 1 {
		t.Errorf("streams %v", streams)
	}
}

// atOnce makes calls at the same time.
func (w *world) atOnce(n int, call func(i int) answer) []answer {
	answers := make([]answer, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			<-start
			answers[i] = call(i)
		})
	}
	close(start)
	group.Wait()
	return answers
}

func TestSixteenCallsWithOneKeyAtOnceAreOneOrder(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	for range 5 {
		key := fresh()
		before := len(w.streams())
		answers := w.atOnce(16, func(int) answer { return w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key) })
		for _, a := range answers {
			if a.want(http.StatusCreated); string(a.body) != string(answers[0].body) {
				t.Errorf("%s and %s", a.body, answers[0].body)
			}
		}
		streams := w.streams()
		if events := streams["order-"+answers[0].str("orderId")]; events != 1 || len(streams) != before+1 {
			t.Errorf("%d events in the stream, %d new streams", events, len(streams)-before)
		}
	}
	last := w.placed(customer)
	w.shown(last, 0)
	var page struct{ Items []map[string]any }
	w.call("GET", "/orders?limit=100&customerId="+customer, nil).want(http.StatusOK).into(&page)
	if len(page.Items) != 6 {
		t.Errorf("%d orders in the list, want 6", len(page.Items))
	}
}

// Two bodies race for one key: one of them places the order, and every call
// with the other one is told so.
func TestOfTwoBodiesWithOneKeyAtOnceOneWins(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	for range 5 {
		key := fresh()
		answers := w.atOnce(16, func(i int) answer {
			return w.call("POST", "/orders", fields{"customerId": customer, "lines": []fields{{"sku": "mug", "quantity": 1 + i%2}}}, "Idempotency-Key", key)
		})
		winner := answers[0]
		if winner.status != http.StatusCreated {
			winner = answers[1]
		}
		for i, a := range answers {
			if (i%2 == 0) == (winner.str("orderId") == answers[0].str("orderId")) {
				if a.want(http.StatusCreated); string(a.body) != string(winner.body) {
					t.Errorf("%s and %s", a.body, winner.body)
				}
			} else {
				a.refused(422, "idempotency-key-reused")
			}
		}
		if events := w.streams()["order-"+winner.str("orderId")]; events != 1 {
			t.Errorf("%d events in the stream", events)
		}
	}
}

func TestARefusedCallIsNotRemembered(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id, key := fresh(), fresh()
	w.call("POST", "/orders", mugFor(id), "Idempotency-Key", key).refused(409, "unknown-customer")
	w.tell("customer.events.created.v1", id, 0, fields{"customerId": id})
	w.until(id, "mug", "unknown-customer", false)
	bad := fields{"customerId": id, "lines": []fields{{"sku": "mug", "quantity": 1}, {"sku": "mug", "quantity": 1}}}
	w.call("POST", "/orders", bad, "Idempotency-Key", key).refused(422, "invalid-request")
	w.call("POST", "/orders", mugFor(id), "Idempotency-Key", key).want(http.StatusCreated)
}

// What was answered once is answered again, whatever has become of the customer,
// the price, or the order.
func TestARepeatedCallIsAnsweredAlthoughTheWorldHasMovedOn(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer, key := w.customer(), fresh()
	first := w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).want(http.StatusCreated)
	w.deactivate(customer)
	again := w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).want(http.StatusCreated)
	if string(again.body) != string(first.body) {
		t.Errorf("%s and %s", first.body, again.body)
	}
	w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", fresh()).refused(409, "customer-deactivated")

	w.call("POST", "/orders/"+first.str("orderId")+"/cancel", fields{"reason": "moved"}).want(http.StatusOK)
	again = w.call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).want(http.StatusCreated)
	if again.str("orderId") != first.str("orderId") || again.str("status") != "cancelled" || again.header.Get("ETag") != `"1"` {
		t.Errorf("the order as it is now: ETag %s, %s", again.header.Get("ETag"), again.body)
	}
}
