package order_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/service"
	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order"
)

// startWaiting runs the service with deadlines of its own, on either database.
// The test hears its commands, too.
func startWaiting(t *testing.T, deadlines map[string]string, fn func(t *testing.T, w *world)) {
	t.Parallel()
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) {
		w := &world{Service: servicetest.New(t, order.Run, database, "order.events.#", "packing.commands.#"), t: t}
		w.store = w.WithEventStore()
		maps.Copy(w.Environ, patient)
		maps.Copy(w.Environ, deadlines)
		w.Start()
		w.product("mug", 1250, "EUR")
		fn(t, w)
	})
}

// patient are deadlines that pass in no test, although packing says that it has
// packed years ago; packsSoon and dispatchesSoon those that pass before long.
var (
	patient = map[string]string{
		"ORDER_DEADLINES_REST": "0s", "ORDER_DISPATCH_WITHIN": "1000000h", "ORDER_CANCEL_UNDISPATCHED_AFTER": "2000000h",
	}
	packsSoon      = map[string]string{"ORDER_PACK_WITHIN": "200ms", "ORDER_CANCEL_UNPACKED_AFTER": "400ms"}
	dispatchesSoon = map[string]string{"ORDER_DISPATCH_WITHIN": "200ms", "ORDER_CANCEL_UNDISPATCHED_AFTER": "400ms"}
)

// stands waits until the process of an order is in a state.
func (w *world) stands(id, state string) servicetest.Answer {
	w.t.Helper()
	var a servicetest.Answer
	sqldbtest.Eventually(w.t, "the process of "+id+" is "+state, func() bool {
		a = w.Get("/orders/" + id + "/fulfilment")
		return a.Status == http.StatusOK && a.Text("state") == state
	})
	return a
}

// said are the types of what the service has said about an order, each once.
func (w *world) said(id string) []string {
	var types []string
	for _, e := range w.Said() {
		if e.Subject == id {
			contractstest.Valid(w.t, e)
			types = append(types, e.Type)
		}
	}
	slices.Sort(types)
	return types
}

func (w *world) packs(id string) {
	w.tell("packing.events.packed.v1", id, 1, fields{"orderId": id, "customerId": fresh(), "packedBy": "Piet"})
}

func (w *world) dispatches(id string) {
	w.tell("dispatch.events.dispatched.v1", id, 1, fields{"orderId": id, "carrier": "post", "trackingNumber": "7"})
}

func (w *world) returns(id string) {
	w.tell("packing.events.returned.v1", id, 2, fields{"orderId": id, "customerId": fresh()})
}

func TestAnOrderThatNobodyPacksIsAnnouncedAsDelayedAndCancelled(t *testing.T) {
	startWaiting(t, packsSoon, func(t *testing.T, w *world) {
		id := w.placed(w.customer(), "X-Correlation-ID", "of-the-order")
		late := w.Hears("order.events.delayed.v1", id)
		if !strings.Contains(string(late.Data), `"stage":"packing"`) || late.CorrelationID != "of-the-order" {
			t.Errorf("%s of %s", late.Data, late.CorrelationID)
		}
		gone := w.Hears("order.events.cancelled.v1", id)
		if !strings.Contains(string(gone.Data), `"by":"deadline"`) || gone.CorrelationID != "of-the-order" {
			t.Errorf("%s of %s", gone.Data, gone.CorrelationID)
		}
		w.stands(id, "cancelled")
		want := []string{"order.events.cancelled.v1", "order.events.delayed.v1", "order.events.placed.v1", "order.events.placed.v2"}
		if diff := cmp.Diff(want, w.said(id)); diff != "" {
			t.Error(diff)
		}
		if a := w.told(id, "cancelled"); a.Text("cancelReason") != "not packed in time" {
			t.Errorf("%s", a.Body)
		}
	})
}

func TestAnOrderThatNobodyDispatchesIsCancelledAndItsGoodsComeBack(t *testing.T) {
	startWaiting(t, dispatchesSoon, func(t *testing.T, w *world) {
		id := w.placed(w.customer())
		w.packs(id)
		if late := w.Hears("order.events.delayed.v1", id); !strings.Contains(string(late.Data), `"stage":"dispatch"`) {
			t.Errorf("%s", late.Data)
		}
		w.Hears("order.events.cancelled.v1", id)
		if back := w.Hears("packing.commands.return_to_stock.v1", id); !strings.Contains(string(back.Data), "not dispatched in time") {
			t.Errorf("%s", back.Data)
		}
		w.stands(id, "returning")
		w.returns(id)
		w.stands(id, "returned")
	})
}

func TestGoodsThatWerePackedForACancelledOrderAreAskedBack(t *testing.T) {
	startWaiting(t, nil, func(t *testing.T, w *world) {
		customer := w.customer()
		first, race := w.placed(customer), w.placed(customer)
		w.packs(first) // and then it is cancelled
		w.told(first, "packed")
		for _, id := range []string{first, race} {
			w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK)
		}
		w.stands(race, "cancelled")
		w.packs(race) // it was on its way
		for _, id := range []string{first, race} {
			if back := w.Hears("packing.commands.return_to_stock.v1", id); !strings.Contains(string(back.Data), "changed my mind") {
				t.Errorf("%s", back.Data)
			}
			w.stands(id, "returning")
			w.returns(id)
			w.returns(id)
			w.stands(id, "returned")
			want := []string{"order.events.cancelled.v1", "order.events.placed.v1", "order.events.placed.v2", "packing.commands.return_to_stock.v1"}
			if diff := cmp.Diff(want, w.said(id)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// The parcel had left while the goods were asked back: it is gone, whatever
// packing says of it.
func TestAnOrderThatLeftAlthoughItWasCancelledIsDispatched(t *testing.T) {
	startWaiting(t, nil, func(t *testing.T, w *world) {
		id := w.placed(w.customer())
		w.packs(id)
		w.told(id, "packed")
		w.Call("POST", "/orders/"+id+"/cancel", reason).Want(http.StatusOK)
		w.stands(id, "returning")
		w.dispatches(id)
		w.stands(id, "dispatched")
		w.returns(id)
		last := w.placed(w.customer())
		w.packs(last)
		w.stands(last, "dispatching") // the return was heard before
		w.stands(id, "dispatched")
		w.told(id, "dispatched")
	})
}

func TestARejectedOrderIsCancelledAndNothingIsAskedBack(t *testing.T) {
	startWaiting(t, nil, func(t *testing.T, w *world) {
		id := w.placed(w.customer())
		w.tell("packing.events.rejected.v1", id, 1, fields{"orderId": id, "reason": "out of stock"})
		w.stands(id, "cancelled")
		w.Hears("order.events.cancelled.v1", id)
		if diff := cmp.Diff([]string{"order.events.cancelled.v1", "order.events.placed.v1", "order.events.placed.v2"}, w.said(id)); diff != "" {
			t.Error(diff)
		}
	})
}

// The service stops with deadlines running. They pass meanwhile, and count once
// when it is back.
func TestDeadlinesOutliveTheService(t *testing.T) {
	t.Parallel()
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) {
		w := &world{Service: servicetest.New(t, order.Run, database, "order.events.#", "packing.commands.#"), t: t}
		w.store = w.WithEventStore()
		maps.Copy(w.Environ, patient)
		w.Environ["ORDER_PACK_WITHIN"] = "5s"
		stop := w.Start()
		w.product("mug", 1250, "EUR")
		customer := w.customer()
		waiting, packed := w.placed(customer), w.placed(customer)
		w.stands(waiting, "packing")
		w.stands(packed, "packing")
		stop()
		w.packs(packed) // it is told while nobody listens
		w.Environ["ORDER_DEADLINES_REST"] = "3s"
		w.Start()
		w.Hears("order.events.delayed.v1", waiting)
		w.stands(packed, "dispatching")
		if said := w.said(packed); slices.Contains(said, "order.events.delayed.v1") {
			t.Errorf("it was packed in time: %v", said)
		}
	})
}

func TestTheProcessOfAnOrderCanBeLookedAt(t *testing.T) {
	startWaiting(t, nil, func(t *testing.T, w *world) {
		id := w.placed(w.customer())
		a := w.stands(id, "packing")
		deadline, _ := a.Fields()["deadline"].(map[string]any)
		if a.Header.Get("ETag") != `"0"` || deadline["kind"] != "pack-overdue" || deadline["dueAt"] == "" {
			t.Errorf("%s: %s", a.Header.Get("ETag"), a.Body)
		}
		w.Get("/orders/"+fresh()+"/fulfilment").Refused(404, "not-found")
		w.Get("/orders/7/fulfilment").Refused(404, "not-found")
		if text := string(w.Get("/metrics").Body); !strings.Contains(text, "\norderflow_fulfilment_overdue 0\n") ||
			!strings.Contains(text, "\norderflow_fulfilment_aside 0\n") {
			t.Error("the metrics of fulfilment are missing")
		}
	})
}

func TestDeadlinesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ map[string]string
		names   string
	}{
		"not a time":   {map[string]string{"ORDER_PACK_WITHIN": "soon"}, "ORDER_PACK_WITHIN"},
		"no time":      {map[string]string{"ORDER_DISPATCH_WITHIN": "0s"}, "ORDER_DISPATCH_WITHIN"},
		"too early":    {map[string]string{"ORDER_CANCEL_UNPACKED_AFTER": "4h"}, "ORDER_CANCEL_UNPACKED_AFTER"},
		"out of order": {map[string]string{"ORDER_DISPATCH_WITHIN": "1000h"}, "ORDER_CANCEL_UNDISPATCHED_AFTER"},
		"negative":     {map[string]string{"ORDER_DEADLINES_REST": "-1s"}, "ORDER_DEADLINES_REST"},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			err := order.Run(t.Context(), service.Host{Environ: c.environ, Log: &log})
			if err == nil || !strings.Contains(err.Error(), c.names) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
		})
	}
}
