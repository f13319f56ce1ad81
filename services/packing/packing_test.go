package packing_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
)

const customerID = "0190a0a0-0000-7000-8000-00000000000c"

// event is what the order service says about an order.
func event(orderID, name string, sequence int64, data string) eventbus.Event {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(sequence) * time.Second)
	return eventbus.Event{
		ID: cause.NewID().String(), Source: "/orderflow/order", Type: "order.events." + name + ".v1", Subject: orderID,
		Time: at, Data: fmt.Appendf(nil, `{"orderId":%q,"customerId":%q,%s,"occurredAt":%q}`, orderID, customerID, data, at.Format(time.RFC3339Nano)),
		CorrelationID: "request-" + orderID, CausationID: cause.NewID().String(), Sequence: sequence,
	}
}

func placed(orderID string) eventbus.Event {
	return event(orderID, "placed", 0, `"lines":[{"sku":"mug","name":"Mug","quantity":2,"unitPrice":{"amount":1250,"currency":"EUR"}}],
		"total":{"amount":2500,"currency":"EUR"}`)
}

func cancelled(orderID string) eventbus.Event {
	return event(orderID, "cancelled", 1, `"reason":"changed my mind","by":"customer"`)
}

func newID() string { return cause.NewID().String() }

// hasJob waits until the job of an order has a status.
func (w *world) hasJob(orderID, status string) {
	w.t.Helper()
	sqldbtest.Eventually(w.t, "job "+orderID+" is "+status, func() bool {
		return w.Get("/jobs/" + orderID).Fields()["status"] == status
	})
}

func TestAPlacedOrderIsPackedAndAnnouncedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order := newID()
		w.Publish(placed(order))
		w.hasJob(order, "pending")

		packed := w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Ada"}`)
		want := map[string]any{
			"orderId": order, "status": "packed", "packedBy": "Ada",
			"lines": []any{map[string]any{"sku": "mug", "name": "Mug", "quantity": 2.0}},
		}
		if diff := cmp.Diff(want, packed.Fields()); packed.Status != http.StatusOK || diff != "" {
			t.Fatalf("got %d (-want +got):\n%s", packed.Status, diff)
		}
		again := w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Ada"}`)
		read := w.Get("/jobs/" + order)
		for _, a := range []servicetest.Answer{packed, again, read} {
			if a.Header.Get("ETag") != `"1"` || !cmp.Equal(want, a.Fields()) {
				t.Errorf("got %s %v, want the packed job at version 1", a.Header.Get("ETag"), a.Fields())
			}
		}
		w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Bob"}`).Refused(http.StatusConflict, "already-packed")
		w.Call(http.MethodPost, "/jobs/"+order+"/reject", `{"reason":"broken"}`).Refused(http.StatusConflict, "already-packed")

		// A second order marks the end of what the first one had to say.
		last := newID()
		w.Publish(placed(last))
		w.hasJob(last, "pending")
		w.Call(http.MethodPost, "/jobs/"+last+"/reject", `{"reason":"out of mugs"}`)
		sqldbtest.Eventually(t, "the rejection is announced", func() bool {
			return slices.ContainsFunc(w.Said(), func(e eventbus.Event) bool { return e.Subject == last })
		})
		said := w.Said()
		if len(said) != 2 || said[0].Type != "packing.events.packed.v1" || said[1].Type != "packing.events.rejected.v1" {
			t.Fatalf("heard %v, want one packed and one rejected", said)
		}
		for _, e := range said {
			contractstest.Valid(t, e)
			if e.CorrelationID != "request-"+e.Subject || e.Sequence != 1 || e.TraceParent == "" {
				t.Errorf("got %+v, want the correlation of the order, the version of the job and a trace", e)
			}
		}
	})
}

func TestACancellationThatComesFirstIsHiddenUntilTheOrderComes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order := newID()
		w.Publish(cancelled(order))
		sqldbtest.Eventually(t, "the cancellation is noted", func() bool {
			return len(w.Get("/ledger").Items("subject")) == 1
		})
		w.Get("/jobs/"+order).Refused(http.StatusNotFound, "not-found")
		w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Ada"}`).Refused(http.StatusNotFound, "not-found")
		if jobs := w.Get("/jobs").Items("orderId"); len(jobs) != 0 {
			t.Errorf("listed %v before it was placed", jobs)
		}
		w.Publish(placed(order))
		w.hasJob(order, "cancelled")
		w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Ada"}`).Refused(http.StatusConflict, "job-cancelled")
		w.Call(http.MethodPost, "/jobs/"+order+"/reject", `{"reason":"broken"}`).Refused(http.StatusConflict, "job-cancelled")
	})
}

func TestAStoppedServiceCatchesUpAndLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := w.Start()
		stop()
		orders := []string{newID(), newID(), newID()}
		for _, order := range orders {
			w.Publish(placed(order), placed(order)) // the second is another event about the same fact
		}
		w.Start()
		for _, order := range orders {
			w.hasJob(order, "pending")
		}
	})
}

func TestWhatHappenedToAnOrderIsTraced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order := newID()
		w.Publish(placed(order))
		w.hasJob(order, "pending")
		w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Ada"}`)
		sqldbtest.Eventually(t, "all of it is in the trace", func() bool {
			kinds := w.Get("/trace/" + order).Items("kind")
			slices.Sort(kinds)
			return cmp.Equal(kinds, []string{"http", "published", "received", "wrote"})
		})
		w.Get("/trace/nonsense").Refused(http.StatusNotFound, "not-found")
	})
}

func TestAnEventThatCannotBeUsedIsLeftToAPerson(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		empty := event(newID(), "placed", 0, `"lines":[]`)
		nobody := placed("nonsense")
		w.Publish(empty, nobody)
		sqldbtest.Eventually(t, "both are parked", func() bool {
			letters := w.Get("/deadletters")
			return cmp.Equal(letters.Items("status"), []string{"parked", "parked"})
		})
		for _, e := range []eventbus.Event{empty, nobody} {
			if a := w.Call(http.MethodDelete, "/deadletters/"+e.ID, ""); a.Status != http.StatusNoContent {
				t.Errorf("discarding %s: %d %v", e.ID, a.Status, a.Fields())
			}
		}
		if left := w.Get("/deadletters").Items("id"); len(left) != 0 {
			t.Errorf("still there: %v", left)
		}
	})
}
