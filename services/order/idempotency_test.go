package order_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"orderflow/pkg/service/servicetest"
)

func TestTheSameCallWithTheSameKeyIsTheSameOrder(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer, other := w.customer(), w.customer()
	key := fresh()
	first := w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated)
	again := w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated)
	if string(first.Body) != string(again.Body) || again.Header.Get("ETag") != first.Header.Get("ETag") ||
		again.Header.Get("Location") != first.Header.Get("Location") {
		t.Errorf("first %s, then %s", first.Body, again.Body)
	}
	// The same body in other letters is the same body.
	spaced := `{ "lines": [ {"quantity":1, "sku":"m\u0075g"} ], "customerId": "` + strings.ToUpper(customer) + `" }`
	if a := w.Call("POST", "/orders", spaced, "Idempotency-Key", key).Want(http.StatusCreated); string(a.Body) != string(first.Body) {
		t.Errorf("in other letters: %s", a.Body)
	}
	if a := w.Call("POST", "/orders", mugFor(other), "Idempotency-Key", key).Want(http.StatusCreated); a.Text("orderId") == first.Text("orderId") {
		t.Error("two customers share a key")
	}
	if a := w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", fresh()).Want(http.StatusCreated); a.Text("orderId") == first.Text("orderId") {
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
	first := w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated)
	for _, body := range []any{
		fields{"customerId": customer, "lines": []fields{{"sku": "mug", "quantity": 2}}},
		fields{"customerId": customer, "lines": []fields{{"sku": "jug", "quantity": 1}}}, // not even known
	} {
		w.Call("POST", "/orders", body, "Idempotency-Key", key).Refused(422, "idempotency-key-reused", "header.Idempotency-Key")
	}
	w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", strings.Repeat("k", 201)).Refused(422, "invalid-request")
	if again := w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated); string(again.Body) != string(first.Body) {
		t.Errorf("it has changed: %s", again.Body)
	}
	if streams := w.streams(); len(streams) != 1 {
		t.Errorf("streams %v", streams)
	}
}

// atOnce makes calls at the same time.
func (w *world) atOnce(n int, call func(i int) servicetest.Answer) []servicetest.Answer {
	answers := make([]servicetest.Answer, n)
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
		answers := w.atOnce(16, func(int) servicetest.Answer {
			return w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key)
		})
		for _, a := range answers {
			if a.Want(http.StatusCreated); string(a.Body) != string(answers[0].Body) {
				t.Errorf("%s and %s", a.Body, answers[0].Body)
			}
		}
		streams := w.streams()
		if events := streams["order-"+answers[0].Text("orderId")]; events != 1 || len(streams) != before+1 {
			t.Errorf("%d events in the stream, %d new streams", events, len(streams)-before)
		}
	}
	last := w.placed(customer)
	w.shown(last, 0)
	var page struct{ Items []map[string]any }
	w.Get("/orders?limit=100&customerId=" + customer).Want(http.StatusOK).Into(&page)
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
		answers := w.atOnce(16, func(i int) servicetest.Answer {
			return w.Call("POST", "/orders", fields{"customerId": customer, "lines": []fields{{"sku": "mug", "quantity": 1 + i%2}}}, "Idempotency-Key", key)
		})
		winner := answers[0]
		if winner.Status != http.StatusCreated {
			winner = answers[1]
		}
		for i, a := range answers {
			if (i%2 == 0) == (winner.Text("orderId") == answers[0].Text("orderId")) {
				if a.Want(http.StatusCreated); string(a.Body) != string(winner.Body) {
					t.Errorf("%s and %s", a.Body, winner.Body)
				}
			} else {
				a.Refused(422, "idempotency-key-reused")
			}
		}
		if events := w.streams()["order-"+winner.Text("orderId")]; events != 1 {
			t.Errorf("%d events in the stream", events)
		}
	}
}

func TestARefusedCallIsNotRemembered(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id, key := fresh(), fresh()
	w.Call("POST", "/orders", mugFor(id), "Idempotency-Key", key).Refused(409, "unknown-customer")
	w.tell("customer.events.created.v1", id, 0, fields{"customerId": id})
	w.until(id, "mug", "unknown-customer", false)
	bad := fields{"customerId": id, "lines": []fields{{"sku": "mug", "quantity": 1}, {"sku": "mug", "quantity": 1}}}
	w.Call("POST", "/orders", bad, "Idempotency-Key", key).Refused(422, "invalid-request")
	w.Call("POST", "/orders", mugFor(id), "Idempotency-Key", key).Want(http.StatusCreated)
}

// What was answered once is answered again, whatever has become of the customer,
// the price, or the order.
func TestARepeatedCallIsAnsweredAlthoughTheWorldHasMovedOn(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer, key := w.customer(), fresh()
	first := w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated)
	w.deactivate(customer)
	again := w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated)
	if string(again.Body) != string(first.Body) {
		t.Errorf("%s and %s", first.Body, again.Body)
	}
	w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", fresh()).Refused(409, "customer-deactivated")

	w.Call("POST", "/orders/"+first.Text("orderId")+"/cancel", fields{"reason": "moved"}).Want(http.StatusOK)
	again = w.Call("POST", "/orders", mugFor(customer), "Idempotency-Key", key).Want(http.StatusCreated)
	if again.Text("orderId") != first.Text("orderId") || again.Text("status") != "cancelled" || again.Header.Get("ETag") != `"1"` {
		t.Errorf("the order as it is now: ETag %s, %s", again.Header.Get("ETag"), again.Body)
	}
}
