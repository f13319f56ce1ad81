package order_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"orderflow/pkg/sqldb/sqldbtest"
)

func TestTheTraceTellsEverythingThatHappenedHereToAnOrder(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	id := w.placed(customer, "X-Correlation-ID", "corr")
	packed := w.tell("packing.events.packed.v1", id, 1, fields{"orderId": id, "customerId": customer, "packedBy": "Piet"})
	w.shown(id, 1)
	placed := w.Hears("order.events.placed.v1", id)

	type item struct {
		Kind, ID, Type, CorrelationID, CausationID, Detail string
		Sequence                                           *int64
		Attempts                                           int
	}
	var trace struct {
		Service, OrderID string
		Items            []item
	}
	sqldbtest.Eventually(t, "the trace is whole", func() bool {
		a := w.Get("/trace/" + id).Want(http.StatusOK).Into(&trace)
		return len(trace.Items) == 10 && strings.Contains(string(a.Body), "dispatch-overdue")
	})
	found := map[string]item{}
	for _, i := range trace.Items {
		found[i.Kind+" "+i.Type] = i
	}
	if trace.Service != "order" || trace.OrderID != id {
		t.Errorf("of %s in %s", trace.OrderID, trace.Service)
	}
	if i := found["http POST /orders"]; i.CorrelationID != "corr" || i.ID == "" {
		t.Errorf("the request: %+v", i)
	}
	if i := found["appended order-placed"]; i.CausationID != found["http POST /orders"].ID || i.Sequence == nil || *i.Sequence != 0 {
		t.Errorf("the order: %+v", i)
	}
	if i := found["published order.events.placed.v1"]; i.ID != placed.ID || i.CausationID != found["appended order-placed"].ID {
		t.Errorf("its announcement: %+v", i)
	}
	if i := found["published order.events.placed.v2"]; i.ID == "" || i.ID == placed.ID || i.CausationID != found["appended order-placed"].ID {
		t.Errorf("its announcement in version 2: %+v", i)
	}
	if i := found["received packing.events.packed.v1"]; i.ID != packed.ID || i.Attempts != 1 {
		t.Errorf("what packing said: %+v", i)
	}
	if i := found["appended order-packed"]; i.CausationID != packed.ID || i.Sequence == nil || *i.Sequence != 1 {
		t.Errorf("what it became: %+v", i)
	}
	if i := found["wrote order_list"]; i.Detail != "packed" || i.Sequence == nil || *i.Sequence != 1 {
		t.Errorf("the row: %+v", i)
	}
	if i := found["appended fulfilment-begun"]; i.CausationID != found["appended order-placed"].ID || i.CorrelationID != "corr" {
		t.Errorf("the process of it: %+v", i)
	}
	if i := found["appended fulfilment-packed"]; i.CausationID != found["appended order-packed"].ID {
		t.Errorf("its next step: %+v", i)
	}
	if i := found["wrote fulfilment_deadline"]; !strings.HasPrefix(i.Detail, "dispatch-overdue at 2025-05-02T12:00:01Z") || i.CorrelationID != packed.CorrelationID {
		t.Errorf("its deadline: %+v", i)
	}
	w.Get("/trace/" + fresh()).Want(http.StatusOK).Into(&trace)
	if len(trace.Items) != 0 {
		t.Errorf("of an order that is not: %+v", trace.Items)
	}
}

func TestTheLedgerTellsHowFarEachOrderHasCome(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	want := map[string]float64{}
	for i := range 5 {
		id := w.placed(customer)
		if i%2 == 0 {
			w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK)
			want[id] = 1
		} else {
			want[id] = 0
		}
		w.shown(id, want[id])
	}
	for _, limit := range []string{"1", "2", "100"} {
		last := ""
		rows := w.pages("/ledger?limit=" + limit)
		rows = slices.DeleteFunc(rows, func(row map[string]any) bool { return row["kind"] != "order" })
		for _, row := range rows {
			subject, _ := row["subject"].(string)
			if subject <= last || row["lastSequence"] != want[subject] {
				t.Errorf("%v after %s, want sequence %v", row, last, want[subject])
			}
			last = subject
		}
		if len(rows) != len(want) {
			t.Errorf("%d rows, want %d", len(rows), len(want))
		}
	}
}

func TestAFactThatCannotBeRecordedWaitsForAPerson(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	id := w.placed(w.customer())
	wrong := w.tell("packing.events.packed.v1", id, 1, fields{"orderId": "seven"})
	unknown := fresh()
	early := w.tell("packing.events.packed.v1", unknown, 1, fields{"orderId": unknown})
	sqldbtest.Eventually(t, "both aside", func() bool { return len(w.pages("/deadletters?limit=1")) == 2 })

	a := w.Get("/deadletters/" + wrong.ID).Want(http.StatusOK)
	if a.Text("status") != "parked" || a.Text("box") != "inbox" || !strings.Contains(a.Text("reason"), "seven") {
		t.Errorf("%s", a.Body)
	}
	if a := w.Get("/deadletters/" + early.ID).Want(http.StatusOK); a.Text("status") != "held" || a.Text("reason") != "there is no such order" {
		t.Errorf("%s", a.Body)
	}
	w.Call("DELETE", "/deadletters/"+early.ID, nil).Want(http.StatusNoContent)
	w.Get("/deadletters/"+early.ID).Refused(404, "not-found")
	w.Call("POST", "/deadletters/"+wrong.ID+"/redrive", nil).Want(http.StatusOK)
	sqldbtest.Eventually(t, "parked again", func() bool {
		return w.Get("/deadletters/"+wrong.ID).Want(http.StatusOK).Text("status") == "parked"
	})
}

// An order in the event store that this program cannot read is nobody's
// problem but its own.
func TestAnEventThatCannotBeAnnouncedIsParkedAndTheOthersFlow(t *testing.T) {
	w := start(t)
	w.product("mug", 1250, "EUR")
	customer := w.customer()
	strange := fresh()
	w.scribble(strange)
	id := w.placed(customer)
	w.Hears("order.events.placed.v1", id)
	w.shown(id, 0)
	// It is set aside together with the note of how far the relay has come, which follows the publishing.
	sqldbtest.Eventually(t, "it to be set aside", func() bool { return len(w.pages("/deadletters?limit=5")) > 0 })
	letters := w.pages("/deadletters?limit=5")
	if len(letters) != 1 || letters[0]["box"] != "relay" || !strings.Contains(letters[0]["reason"].(string), "order-teleported") {
		t.Errorf("%v", letters)
	}
	w.Get("/orders/"+strange).Refused(500, "internal")
	if a := w.Get("/readyz"); a.Status != http.StatusOK {
		t.Errorf("not ready: %s", a.Body)
	}
}

func TestTheServiceIsNotReadyWithoutItsEventStore(t *testing.T) {
	w := start(t)
	w.store.Stop()
	sqldbtest.Eventually(t, "not ready", func() bool { return w.Get("/readyz").Status == http.StatusServiceUnavailable })
	w.Get("/livez").Want(http.StatusOK)
	w.store.Start()
	sqldbtest.Eventually(t, "ready again", func() bool { return w.Get("/readyz").Status == http.StatusOK })
}

func TestTheAPIIsDescribed(t *testing.T) {
	w := start(t)
	var document struct {
		Paths      map[string]map[string]any
		Components struct {
			Schemas map[string]struct{ Required []string }
		}
	}
	w.Get("/openapi.json").Want(http.StatusOK).Into(&document)
	for path, method := range map[string]string{
		"/orders": "post", "/orders/{orderId}": "get", "/orders/{orderId}/cancel": "post", "/orders/{orderId}/history": "get",
		"/trace/{orderId}": "get", "/ledger": "get", "/deadletters/{id}": "delete",
	} {
		if document.Paths[path][method] == nil {
			t.Errorf("%s %s is not described", method, path)
		}
	}
	for _, optional := range []string{"packedAt", "dispatchedAt", "cancelledAt", "cancelReason"} {
		for _, required := range document.Components.Schemas["Order"].Required {
			if required == optional {
				t.Errorf("%s is described as always there", optional)
			}
		}
	}
	if len(document.Components.Schemas["Order"].Required) == 0 {
		t.Error("an order is not described")
	}
}
