package e2e

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mail is a follow-up mail of crm.
type mail struct {
	MailID  string
	OrderID string
	Kind    string
	To      string
	Subject string
	Status  string
	At      time.Time
}

// story is a customer as crm tells it.
type story struct {
	CustomerID string
	Name       string
	Email      string
	Status     string
	Orders     []struct {
		OrderID  string
		Status   string
		Total    money
		PlacedAt time.Time
	}
	Mails []mail
}

// summary is the figures of reporting.
type summary struct {
	OrdersByStatus map[string]int64
	Revenue        []money
	TimeToPack     *struct{ MedianMs, P95Ms *int64 }
	TimeToDispatch *struct{ MedianMs, P95Ms *int64 }
}

// day is the figures of one UTC day.
type day struct {
	Day     string
	Orders  int64
	Revenue []money
}

// revenueIn is the revenue in one currency.
func revenueIn(currency string, all []money) int64 {
	i := slices.IndexFunc(all, func(m money) bool { return m.Currency == currency })
	if i < 0 {
		return 0
	}
	return all[i].Amount
}

// AddsUp waits until every read model of every service shows exactly the orders
// that were promised, each once, and each as its own stream has it: nothing is
// lost and nothing is there twice.
func (w *world) AddsUp() {
	w.t.Helper()
	w.Eventually("everything adds up", func() error {
		truth, err := w.truth()
		if err != nil {
			return err
		}
		return errors.Join(w.listAddsUp(truth), w.packingAddsUp(truth), w.dispatchAddsUp(truth), w.crmAddsUp(truth),
			w.reportingAddsUp(truth), w.nothingIsHeld())
	})
}

// truth is every promised order as its own stream has it, by id.
func (w *world) truth() (map[string]order, error) {
	w.book.mu.Lock()
	promised := maps.Clone(w.book.orders)
	w.book.mu.Unlock()
	truth := map[string]order{}
	for id, promise := range promised {
		now, err := fetch[order](w, "order", "/orders/"+id)
		if err != nil {
			return nil, err
		}
		if now.CustomerID != promise.customer || now.Total != promise.total {
			return nil, final{fmt.Errorf("order %s was promised to be %v and is of %s, %v", id, promise, now.CustomerID, now.Total)}
		}
		truth[id] = now
	}
	return truth, nil
}

// same compares what a read model shows, by order, with what it should.
func same(of string, want, got map[string]string) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-should be +is):\n%s", of, diff)
	}
	return nil
}

// show puts an order into a map, and counts it when it is there already.
func show(shown map[string]string, id, what string) {
	if before, ok := shown[id]; ok {
		what = before + " and also " + what
	}
	shown[id] = what
}

func (w *world) listAddsUp(truth map[string]order) error {
	want, got := map[string]string{}, map[string]string{}
	for id, o := range truth {
		want[id] = o.Status
	}
	listed, err := all[order](w, "order", "/orders?limit=100")
	if err != nil {
		return err
	}
	for _, o := range listed {
		show(got, o.OrderID, o.Status)
	}
	return same("list of orders", want, got)
}

func (w *world) packingAddsUp(truth map[string]order) error {
	want, got := map[string]string{}, map[string]string{}
	for id, o := range truth {
		switch {
		case o.Status == "cancelled" && !o.PackedAt.IsZero():
			want[id] = "returned"
		case !o.PackedAt.IsZero():
			want[id] = "packed"
		case o.Status == "cancelled":
			want[id] = "cancelled"
		default:
			want[id] = "pending"
		}
	}
	jobs, err := all[job](w, "packing", "/jobs?limit=100")
	if err != nil {
		return err
	}
	for _, j := range jobs {
		status := j.Status
		if status == "rejected" { // and so cancelled
			status = "cancelled"
		}
		show(got, j.OrderID, status)
	}
	return same("packing jobs", want, got)
}

func (w *world) dispatchAddsUp(truth map[string]order) error {
	want, got := map[string]string{}, map[string]string{}
	for id, o := range truth {
		switch {
		case o.PackedAt.IsZero():
		case o.Status == "packed":
			want[id] = "ready"
		default:
			want[id] = o.Status
		}
	}
	shipments, err := all[shipment](w, "dispatch", "/shipments?limit=100")
	if err != nil {
		return err
	}
	for _, s := range shipments {
		show(got, s.OrderID, s.Status)
	}
	return same("shipments", want, got)
}

// mails are the kinds of mail that a customer gets about an order, sorted.
func (o order) mails() []string {
	kinds := []string{"order-confirmation"}
	for kind, at := range map[string]time.Time{
		"order-packed": o.PackedAt, "order-dispatched": o.DispatchedAt, "order-cancelled": o.CancelledAt,
	} {
		if !at.IsZero() {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func (w *world) crmAddsUp(truth map[string]order) error {
	want, got := map[string]string{}, map[string]string{}
	wantMails, gotMails := map[string][]string{}, map[string][]string{}
	for id, o := range truth {
		want[id] = fmt.Sprint(o.CustomerID, o.Status, o.Total)
		wantMails[id] = o.mails()
	}
	w.book.mu.Lock()
	customers := slices.Clone(w.book.customers)
	w.book.mu.Unlock()
	for _, id := range customers {
		told, err := fetch[story](w, "crm", "/customers/"+id)
		if err != nil {
			return err
		}
		for _, o := range told.Orders {
			show(got, o.OrderID, fmt.Sprint(id, o.Status, o.Total))
		}
		for _, m := range told.Mails {
			gotMails[m.OrderID] = append(gotMails[m.OrderID], m.Kind)
		}
	}
	for _, kinds := range gotMails {
		slices.Sort(kinds)
	}
	if diff := cmp.Diff(wantMails, gotMails); diff != "" {
		return fmt.Errorf("mails of crm (-should be +are):\n%s", diff)
	}
	return same("orders of crm", want, got)
}

func (w *world) reportingAddsUp(truth map[string]order) error {
	counts, revenue := map[string]int64{}, map[string]int64{}
	first, last := time.Now().UTC(), time.Now().UTC()
	for _, o := range truth {
		counts[o.Status]++
		if o.Status != "cancelled" {
			revenue[o.Total.Currency] += o.Total.Amount
		}
		if o.PlacedAt.Before(first) {
			first = o.PlacedAt
		}
	}
	figures, err := fetch[summary](w, "reporting", "/summary")
	if err != nil {
		return err
	}
	days, err := fetch[page[day]](w, "reporting",
		"/orders-per-day?from="+first.Format(time.DateOnly)+"&to="+last.Format(time.DateOnly))
	if err != nil {
		return err
	}
	var placed int64
	var earned []money
	for _, d := range days.Items {
		placed += d.Orders
		earned = append(earned, d.Revenue...)
	}
	if placed != int64(len(truth)) {
		return fmt.Errorf("%d orders over the days, want %d", placed, len(truth))
	}
	maps.DeleteFunc(figures.OrdersByStatus, none)
	return errors.Join(
		differs("orders by status", counts, figures.OrdersByStatus),
		differs("revenue", revenue, byCurrency(figures.Revenue)),
		differs("revenue over the days", revenue, byCurrency(earned)),
	)
}

func none(_ string, n int64) bool { return n == 0 }

func byCurrency(all []money) map[string]int64 {
	sums := map[string]int64{}
	for _, m := range all {
		sums[m.Currency] += m.Amount
	}
	maps.DeleteFunc(sums, none)
	return sums
}

// differs is an error unless a figure is what it should be.
func differs(what string, want, got map[string]int64) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-should be +is):\n%s", what, diff)
	}
	return nil
}

// nothingIsHeld looks for events that could not be handled or published.
func (w *world) nothingIsHeld() error {
	for name := range w.urls {
		if name == "console" {
			continue // keeps nothing of its own
		}
		letters, err := fetch[page[map[string]any]](w, name, "/deadletters")
		if err != nil {
			return err
		}
		if len(letters.Items) > 0 {
			return fmt.Errorf("dead letters of %s: %v", name, letters.Items)
		}
	}
	return nil
}
