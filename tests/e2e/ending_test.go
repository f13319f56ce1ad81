package e2e

import (
	"fmt"
	"net/http"
	"strings"
)

func rejectedOrderIsCancelled(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 2))

	w.Packer().Rejects(o, "Tasse zerbrochen – keine mehr da")

	o.Becomes("cancelled")
	if now := o.Now(); now.CancelledAt.IsZero() || !strings.Contains(now.CancelReason, "Tasse zerbrochen") {
		w.t.Errorf("cancelled at %v because of %q", now.CancelledAt, now.CancelReason)
	}
	if history := o.History(); len(history) != 3 || history[1].Type != "order-rejected" || history[2].Data["by"] != "packing" {
		w.t.Errorf("the stream does not say that packing rejected it, and cancelled it by that: %+v", history)
	}
	if job := w.Packer().Sees(o, "rejected"); !strings.Contains(job.Reason, "Tasse zerbrochen") {
		w.t.Errorf("the job was rejected because of %q", job.Reason)
	}
	w.crmShows(anna, o, "cancelled")
}

func placedOrderCanBeCancelled(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 2))

	o.IsCancelled("ordered twice by mistake")

	if now := o.Now(); now.Status != "cancelled" || now.CancelReason != "ordered twice by mistake" || now.Version != 1 {
		w.t.Errorf("the order after cancelling: %+v", now)
	}
	// Saying it again is no error and changes nothing.
	o.IsCancelled("another reason")
	if now := o.Now(); now.CancelReason != "ordered twice by mistake" || now.Version != 1 {
		w.t.Errorf("the order after cancelling twice: %+v", now)
	}
	if history := o.History(); len(history) != 2 || history[1].Data["by"] != "customer" {
		w.t.Errorf("the stream does not say that the customer cancelled: %+v", history)
	}
	w.Packer().Sees(o, "cancelled")
	a := w.call(request{"packing", http.MethodPost, "/jobs/" + o.OrderID + "/pack", map[string]string{"packedBy": "Piet"}, nil})
	if err := a.must(http.StatusConflict); err != nil {
		w.t.Errorf("packing a cancelled order: %v", err)
	}
	w.crmShows(anna, o, "cancelled")
}

func packedOrderCanBeCancelled(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 2))
	w.Packer().Packs(o)
	w.Dispatcher().Sees(o, "ready")
	o.Becomes("packed")

	o.IsCancelled("changed my mind")

	w.Dispatcher().Sees(o, "cancelled")
	a := w.Dispatcher().Tries(o)
	if err := a.must(http.StatusConflict); err != nil {
		w.t.Errorf("dispatching a cancelled order: %v", err)
	}
	if now := o.Now(); now.Status != "cancelled" || now.PackedAt.IsZero() {
		w.t.Errorf("the order after cancelling: %+v", now)
	}
	w.Packer().Sees(o, "returned")
	o.Ends("returned")
	w.crmShows(anna, o, "cancelled")
}

func dispatchedOrderCannotBeCancelled(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 2))
	w.Packer().Packs(o)
	w.Dispatcher().Dispatches(o)
	o.Becomes("dispatched")

	a := o.Cancels("too late")

	if err := refusedWith(a, http.StatusConflict, "already-dispatched", ""); err != nil {
		w.t.Error(err)
	}
	if now := o.Now(); now.Status != "dispatched" || !now.CancelledAt.IsZero() || now.Version != 2 {
		w.t.Errorf("the order afterwards: %+v", now)
	}
	// Dispatching the same parcel again is no error and changes nothing.
	if err := w.Dispatcher().Tries(o).must(http.StatusOK); err != nil {
		w.t.Errorf("dispatching twice: %v", err)
	}
}

func deactivatedCustomerCannotOrder(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	before := anna.Orders(line("tea", 1))

	anna.IsDeactivated("asked us to")

	w.Eventually("an order is refused", func() error {
		a, err := w.send(w.t.Context(), request{"order", http.MethodPost, "/orders", anna.orderBody(line("tea", 1)), nil})
		if err != nil {
			return err
		}
		if a.status == http.StatusCreated {
			w.placed(a) // the order service had not heard of it yet
		}
		return refusedWith(a, http.StatusConflict, "customer-deactivated", "body.customerId")
	})
	// What was ordered before goes on.
	w.Packer().Packs(before)
	before.Becomes("packed")
	w.Eventually("crm shows the customer deactivated", func() error {
		told, err := fetch[story](w, "crm", "/customers/"+anna.CustomerID)
		if err == nil && told.Status != "deactivated" {
			err = fmt.Errorf("the customer is %s", told.Status)
		}
		return err
	})
}

// crmShows waits until crm shows the order with a status.
func (w *world) crmShows(c *customer, o *order, status string) {
	w.t.Helper()
	w.Eventually("crm shows the order "+status, func() error {
		told, err := fetch[story](w, "crm", "/customers/"+c.CustomerID)
		if err != nil {
			return err
		}
		for _, shown := range told.Orders {
			if shown.OrderID == o.OrderID && shown.Status == status {
				return nil
			}
		}
		return fmt.Errorf("orders are %+v", told.Orders)
	})
}
