package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// hasty are deadlines of a system in which nothing may take long. What is not
// under test in a script is done at once.
func hasty(packWithin, cancelUnpacked, dispatchWithin, cancelUndispatched string) []string {
	return []string{
		"ORDER_PACK_WITHIN=" + packWithin, "ORDER_CANCEL_UNPACKED_AFTER=" + cancelUnpacked,
		"ORDER_DISPATCH_WITHIN=" + dispatchWithin, "ORDER_CANCEL_UNDISPATCHED_AFTER=" + cancelUndispatched,
		"ORDER_DEADLINES_REST=1s",
	}
}

// TestAnOrderThatNobodyPacksEndsByItself is the story of an order that is
// forgotten in packing, as everybody sees it.
func TestAnOrderThatNobodyPacksEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, embedded(t, hasty("2s", "4s", "100h", "200h")...)).in(t)
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 2))

	o.Becomes("cancelled")
	o.Ends("cancelled")
	w.Packer().Sees(o, "cancelled")
	w.crmHasWritten(o, "order-cancelled", "order-confirmation", "order-packing-delayed")
	w.reportingSaysLate(1, 0, 0)
	w.theStreamHolds(o, "order-placed", "order-cancelled")
	if now := o.Now(); now.CancelReason != "not packed in time" {
		t.Errorf("cancelled because it was %s", now.CancelReason)
	}
}

// TestAnOrderThatNobodyDispatchesIsUndone is the story of a parcel that stays
// in the house. Everything is killed when the order has just been cancelled, and
// goes on from wherever it was.
func TestAnOrderThatNobodyDispatchesIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, embedded(t, hasty("100h", "200h", "2s", "4s")...)).in(t)
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 2))
	w.Packer().Packs(o)
	o.Becomes("cancelled")
	w.kill()
	w.start(t)

	o.Ends("returned")
	w.Packer().Sees(o, "returned")
	w.Dispatcher().Sees(o, "cancelled")
	w.crmHasWritten(o, "order-cancelled", "order-confirmation", "order-dispatch-delayed", "order-packed")
	w.reportingSaysLate(0, 1, 1)
	w.theStreamHolds(o, "order-placed", "order-packed", "order-cancelled")
}

// TestCompensationSurvivesKills cancels orders that are packed and kills the
// whole system at some moment of what follows, again and again.
func TestCompensationSurvivesKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, embedded(t)).in(t)
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	rounds := 3
	if long() {
		rounds = 20
	}
	var orders []*order
	for range rounds {
		for range 4 {
			o := anna.Orders(line("tea", 1))
			w.Packer().Packs(o)
			o.Becomes("packed")
			o.IsCancelled("changed my mind")
			orders = append(orders, o)
		}
		w.kill()
		w.start(t)
	}
	for _, o := range orders {
		o.Ends("returned")
		w.Packer().Sees(o, "returned")
		w.Dispatcher().Sees(o, "cancelled")
		w.crmHasWritten(o, "order-cancelled", "order-confirmation", "order-packed")
		w.theStreamHolds(o, "order-placed", "order-packed", "order-cancelled")
	}
	w.reportingSaysLate(0, 0, int64(len(orders)))
	w.AddsUp()
}

// racesAreCompensated has customer, packer and dispatcher act while they cannot
// hear of each other, as they do for a moment in any race.
func racesAreCompensated(w *world) {
	if w.broker == nil {
		w.t.Skip("the broker is not the test's own")
	}
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	packedInVain, gone, refused := anna.Orders(line("tea", 1)), anna.Orders(line("tea", 2)), anna.Orders(line("tea", 3))
	w.Packer().Sees(packedInVain, "pending")
	w.Packer().Sees(refused, "pending")
	w.Packer().Packs(gone)
	gone.Becomes("packed")
	w.Dispatcher().Sees(gone, "ready")
	// The way it ends is its own business.
	if err := w.broker.stop(patience); err != nil && !strings.Contains(err.Error(), "stopped with") {
		w.t.Fatal(err)
	}
	packedInVain.IsCancelled("changed my mind")
	w.Packer().Packs(packedInVain)
	gone.IsCancelled("changed my mind")
	w.Dispatcher().Dispatches(gone)
	refused.IsCancelled("changed my mind")
	w.Packer().Rejects(refused, "out of stock")
	if err := w.broker.start(); err != nil {
		w.t.Fatal(err)
	}
	w.ready(w.t, services...)

	packedInVain.Ends("returned")
	w.Packer().Sees(packedInVain, "returned")
	w.Dispatcher().Sees(packedInVain, "cancelled")
	w.crmHasWritten(packedInVain, "order-cancelled", "order-confirmation", "order-packed")

	gone.Becomes("dispatched")
	gone.Ends("dispatched")
	w.Dispatcher().Sees(gone, "dispatched")
	w.Packer().Sees(gone, "packed")
	w.crmHasWritten(gone, "order-cancelled", "order-confirmation", "order-dispatched", "order-packed")
	if now := gone.Now(); now.CancelledAt.IsZero() {
		w.t.Errorf("nobody knows any more that it was cancelled: %+v", now)
	}
	w.crmShows(anna, gone, "dispatched")

	// Both gave it up. The customer did so first, as far as the order knows, and is written to once.
	refused.Ends("cancelled")
	w.Packer().Sees(refused, "rejected")
	w.crmHasWritten(refused, "order-cancelled", "order-confirmation")
	w.theStreamHolds(refused, "order-placed", "order-cancelled")
	if now := refused.Now(); now.CancelReason != "changed my mind" {
		w.t.Errorf("cancelled because of %q", now.CancelReason)
	}
	w.AddsUp()
}

// crmHasWritten waits until crm has written exactly these mails about an order,
// each once.
func (w *world) crmHasWritten(o *order, kinds ...string) {
	w.t.Helper()
	w.Eventually("crm has written", func() error {
		mails, err := all[mail](w, "crm", "/mails?orderId="+o.OrderID)
		if err != nil {
			return err
		}
		var written []string
		for _, m := range mails {
			written = append(written, m.Kind)
		}
		if slices.Sort(written); !slices.Equal(written, kinds) {
			return fmt.Errorf("it has written %q, want %q", written, kinds)
		}
		return nil
	})
}

// reportingSaysLate waits until reporting counts what was late and what came back.
func (w *world) reportingSaysLate(packing, dispatch, returned int64) {
	w.t.Helper()
	type late struct {
		Delayed  struct{ Packing, Dispatch int64 }
		Returned int64
	}
	want := late{Returned: returned}
	want.Delayed.Packing, want.Delayed.Dispatch = packing, dispatch
	w.Eventually("reporting counts what was late", func() error {
		got, err := fetch[late](w, "reporting", "/summary")
		if err == nil && got != want {
			err = fmt.Errorf("it counts %+v, want %+v", got, want)
		}
		return err
	})
}
