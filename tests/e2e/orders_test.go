package e2e

import (
	"fmt"
	"net/http"
	"time"
)

type orderLine struct {
	SKU       string
	Name      string
	Quantity  int64
	UnitPrice money
}

// order is an order as the order service answers with it.
type order struct {
	w            *world
	OrderID      string
	CustomerID   string
	Status       string
	Lines        []orderLine
	Total        money
	Version      int64
	PlacedAt     time.Time
	PackedAt     time.Time
	DispatchedAt time.Time
	CancelledAt  time.Time
	CancelReason string
}

// Now is the order as its stream has it at this moment.
func (o *order) Now() order {
	o.w.t.Helper()
	return read[order](o.w, "order", "/orders/"+o.OrderID)
}

// Becomes waits until the order has a status.
func (o *order) Becomes(status string) {
	o.w.t.Helper()
	o.w.Eventually("order is "+status, func() error {
		now, err := fetch[order](o.w, "order", "/orders/"+o.OrderID)
		if err == nil && now.Status != status {
			err = fmt.Errorf("it is %s", now.Status)
		}
		return err
	})
}

// Ends waits until the process of the order stands where it ends.
func (o *order) Ends(as string) {
	o.w.t.Helper()
	o.w.Eventually("the process of the order is "+as, func() error {
		now, err := fetch[struct{ State string }](o.w, "order", "/orders/"+o.OrderID+"/fulfilment")
		if err == nil && now.State != as {
			err = fmt.Errorf("it is %s", now.State)
		}
		return err
	})
}

// Cancels is the customer cancelling the order, and returns the answer.
func (o *order) Cancels(reason string) answer {
	o.w.t.Helper()
	return o.w.call(request{"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", map[string]string{"reason": reason}, nil})
}

// IsCancelled is the customer cancelling the order, which works.
func (o *order) IsCancelled(reason string) {
	o.w.t.Helper()
	if err := o.Cancels(reason).must(http.StatusOK); err != nil {
		o.w.t.Fatalf("cancel order: %v", err)
	}
}

// happening is one event of an order's history.
type happening struct {
	Revision int64
	EventID  string
	Type     string
	Data     map[string]any
	Metadata map[string]any
}

// History is what the order's stream holds.
func (o *order) History() []happening {
	o.w.t.Helper()
	history, err := all[happening](o.w, "order", "/orders/"+o.OrderID+"/history?limit=1")
	if err != nil {
		o.w.t.Fatal(err)
	}
	return history
}

// packer packs what is on the worklist.
type packer struct{ w *world }

// Packer is somebody who packs.
func (w *world) Packer() packer { return packer{w} }

// job is a packing job.
type job struct {
	OrderID  string
	Status   string
	Lines    []orderLine
	PackedBy string
	Reason   string
}

// Sees waits until the job of an order has a status.
func (p packer) Sees(o *order, status string) job {
	p.w.t.Helper()
	var seen job
	p.w.Eventually("packing job is "+status, func() error {
		var err error
		seen, err = fetch[job](p.w, "packing", "/jobs/"+o.OrderID)
		if err == nil && seen.Status != status {
			err = fmt.Errorf("it is %s", seen.Status)
		}
		return err
	})
	return seen
}

// Packs waits for the job and packs it.
func (p packer) Packs(o *order) {
	p.w.t.Helper()
	p.does(o, "/pack", map[string]string{"packedBy": "Łukasz"})
}

// Rejects waits for the job and rejects it.
func (p packer) Rejects(o *order, reason string) {
	p.w.t.Helper()
	p.does(o, "/reject", map[string]string{"reason": reason})
}

func (p packer) does(o *order, what string, body any) {
	p.w.t.Helper()
	p.Sees(o, "pending")
	a := p.w.call(request{"packing", http.MethodPost, "/jobs/" + o.OrderID + what, body, nil})
	if err := a.must(http.StatusOK); err != nil {
		p.w.t.Fatalf("%s the job: %v", what, err)
	}
}

// dispatcher hands parcels to carriers.
type dispatcher struct{ w *world }

// Dispatcher is somebody who dispatches.
func (w *world) Dispatcher() dispatcher { return dispatcher{w} }

// shipment is a parcel.
type shipment struct {
	OrderID        string
	Status         string
	Recipient      string
	Address        *address
	Carrier        string
	TrackingNumber string
}

// Sees waits until the shipment of an order has a status, and says where to.
func (d dispatcher) Sees(o *order, status string) shipment {
	d.w.t.Helper()
	var seen shipment
	d.w.Eventually("shipment is "+status, func() error {
		var err error
		seen, err = fetch[shipment](d.w, "dispatch", "/shipments/"+o.OrderID)
		if err == nil && (seen.Status != status || status == "ready" && seen.Address == nil) {
			err = fmt.Errorf("it is %s, address %v", seen.Status, seen.Address)
		}
		return err
	})
	return seen
}

// Dispatches waits for the shipment and hands it over.
func (d dispatcher) Dispatches(o *order) {
	d.w.t.Helper()
	d.Sees(o, "ready")
	if err := d.Tries(o).must(http.StatusOK); err != nil {
		d.w.t.Fatalf("dispatch the shipment: %v", err)
	}
}

// Tries to hand the shipment over, and returns the answer.
func (d dispatcher) Tries(o *order) answer {
	d.w.t.Helper()
	return d.w.call(request{
		"dispatch", http.MethodPost, "/shipments/" + o.OrderID + "/dispatch",
		map[string]string{"carrier": "Česká pošta", "trackingNumber": "T-" + o.OrderID},
		nil,
	})
}
