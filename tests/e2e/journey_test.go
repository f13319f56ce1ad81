package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func orderGoesAllTheWay(w *world) {
	anna := w.Customer("Änne 李")
	w.Product("tea", 450, "CHF") // the only francs of this world
	w.Product("cup", 1299, "CHF")
	const correlation = "the-whole-way"

	placed := anna.OrdersWith(map[string]string{"X-Correlation-ID": correlation}, line("tea", 2), line("cup", 1))

	want := []orderLine{
		{w.sku("tea"), "The tea", 2, money{450, "CHF"}},
		{w.sku("cup"), "The cup", 1, money{1299, "CHF"}},
	}
	if diff := cmp.Diff(want, placed.Lines); diff != "" {
		w.t.Errorf("lines of the order (-want +got):\n%s", diff)
	}
	if placed.Status != "placed" || placed.Total != (money{2199, "CHF"}) || placed.Version != 0 {
		w.t.Errorf("the order that was placed: %+v", placed)
	}
	if job := w.Packer().Sees(placed, "pending"); len(job.Lines) != 2 || job.Lines[0].SKU != w.sku("tea") || job.Lines[0].Quantity != 2 {
		w.t.Errorf("lines on the worklist: %+v", job.Lines)
	}
	w.Packer().Packs(placed)
	placed.Becomes("packed")
	if parcel := w.Dispatcher().Sees(placed, "ready"); parcel.Recipient != anna.Name || *parcel.Address != anna.Address {
		w.t.Errorf("the parcel goes to %q, %+v", parcel.Recipient, parcel.Address)
	}
	w.Dispatcher().Dispatches(placed)
	placed.Becomes("dispatched")

	now := placed.Now()
	if now.PackedAt.Before(placed.PlacedAt) || now.DispatchedAt.Before(now.PackedAt) || !now.CancelledAt.IsZero() {
		w.t.Errorf("times of the order: %+v", now)
	}
	w.Eventually("the list shows the same order", func() error {
		listed, err := all[order](w, "order", "/orders?customerId="+anna.CustomerID)
		if err != nil || len(listed) != 1 {
			return errors.Join(err, fmt.Errorf("%d orders are listed", len(listed)))
		}
		if diff := cmp.Diff(now, listed[0], cmpopts.IgnoreUnexported(order{})); diff != "" {
			return fmt.Errorf("it differs (-stream +list):\n%s", diff)
		}
		return nil
	})
	w.crmTells(anna, now)
	w.reportingCounts(now)
	w.everybodyTraces(now, correlation)
	w.theStreamHolds(placed, "order-placed", "order-packed", "order-dispatched")
}

// crmTells waits until crm shows the order, and checks the mails: each kind
// once, to the right address, and nothing about what did not happen.
func (w *world) crmTells(c *customer, o order) {
	w.t.Helper()
	w.Eventually("crm tells the story", func() error {
		told, err := fetch[story](w, "crm", "/customers/"+c.CustomerID)
		if err != nil {
			return err
		}
		if told.Name != c.Name || told.Email != c.Email || told.Status != "active" {
			return fmt.Errorf("of %q, %q, %s", told.Name, told.Email, told.Status)
		}
		if len(told.Orders) != 1 || told.Orders[0].OrderID != o.OrderID || told.Orders[0].Status != o.Status ||
			told.Orders[0].Total != o.Total || !told.Orders[0].PlacedAt.Equal(o.PlacedAt) {
			return fmt.Errorf("with orders %+v", told.Orders)
		}
		mails, err := all[mail](w, "crm", "/mails?orderId="+o.OrderID)
		if err != nil {
			return err
		}
		var kinds []string
		for _, m := range mails {
			kinds = append(kinds, m.Kind)
			if m.OrderID != o.OrderID || m.To != c.Email || m.Subject == "" || m.Status != "kept" {
				return final{fmt.Errorf("with the mail %+v", m)}
			}
		}
		if slices.Sort(kinds); !slices.Equal(kinds, o.mails()) {
			return fmt.Errorf("with the mails %q, want %q", kinds, o.mails())
		}
		return nil
	})
}

func (w *world) reportingCounts(o order) {
	w.t.Helper()
	w.Eventually("reporting counts the order", func() error {
		figures, err := fetch[summary](w, "reporting", "/summary")
		if err != nil {
			return err
		}
		if got := revenueIn(o.Total.Currency, figures.Revenue); got != o.Total.Amount {
			return fmt.Errorf("revenue is %v", figures.Revenue)
		}
		if figures.OrdersByStatus["dispatched"] < 1 || figures.TimeToPack == nil || figures.TimeToDispatch == nil {
			return fmt.Errorf("figures are %+v", figures)
		}
		return nil
	})
	on := o.PlacedAt.UTC().Format(time.DateOnly)
	path := "/orders-per-day?from=" + on + "&to=" + on
	days := read[page[day]](w, "reporting", path)
	if len(days.Items) != 1 || days.Items[0].Day != on || days.Items[0].Orders < 1 ||
		revenueIn(o.Total.Currency, days.Items[0].Revenue) != o.Total.Amount {
		w.t.Errorf("orders of %s: %+v", on, days)
	}
	table := w.call(request{"reporting", http.MethodGet, path, nil, map[string]string{"Accept": "text/csv"}})
	lines := strings.Split(string(table.body), "\n")
	row := fmt.Sprintf(",%s,%d", o.Total.Currency, o.Total.Amount)
	if strings.TrimSpace(lines[0]) != "day,orders,currency,amount" || !slices.ContainsFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, on+",") && strings.HasSuffix(strings.TrimSpace(l), row)
	}) {
		w.t.Errorf("table of %s as %s:\n%s", on, table.header.Get("Content-Type"), table.body)
	}
}

// traced is one thing that happened to an order in one service.
type traced struct {
	At            time.Time
	Kind          string
	ID            string
	Type          string
	CorrelationID string
	CausationID   string
}

type trace struct {
	Service string
	OrderID string
	Items   []traced
}

// everybodyTraces checks that every service tells its part, that all of it
// belongs to the request that began it, and that what one service received is
// what another has published, exactly once.
func (w *world) everybodyTraces(o order, correlation string) {
	w.t.Helper()
	parts := map[string][]string{
		"order": {
			"http POST /orders", "appended order-placed", "published order.events.placed.v1", "published order.events.placed.v2",
			"received packing.events.packed.v1", "appended order-packed", "received dispatch.events.dispatched.v1", "appended order-dispatched", "wrote",
		},
		"packing":  {"received order.events.placed.v1", "http POST /jobs/", "published packing.events.packed.v1", "wrote"},
		"dispatch": {"received packing.events.packed.v1", "http POST /shipments/", "published dispatch.events.dispatched.v1", "wrote"},
		"crm": {
			"received order.events.placed.v1", "received packing.events.packed.v1", "received dispatch.events.dispatched.v1",
			"wrote", "mailed",
		},
		"reporting": {
			"received order.events.placed.v2", "received packing.events.packed.v1", "received dispatch.events.dispatched.v1", "wrote",
		},
	}
	published, received := map[string]string{}, map[string]string{}
	for service, want := range parts {
		var told trace
		w.Eventually(service+" tells its part", func() error {
			var err error
			if told, err = fetch[trace](w, service, "/trace/"+o.OrderID); err != nil {
				return err
			}
			for _, part := range want {
				if !slices.ContainsFunc(told.Items, func(i traced) bool { return strings.HasPrefix(i.Kind+" "+i.Type, part) }) {
					return fmt.Errorf("nothing like %q in %+v", part, told.Items)
				}
			}
			return nil
		})
		for _, item := range told.Items {
			if item.CorrelationID != "" && item.CorrelationID != correlation {
				w.t.Errorf("%s: %s %s belongs to %q", service, item.Kind, item.Type, item.CorrelationID)
			}
			switch item.Kind {
			case "published":
				show(published, item.ID, item.Type)
			case "received":
				received[item.ID] = item.Type
			}
		}
	}
	if diff := cmp.Diff(published, received); diff != "" {
		w.t.Errorf("events about the order (-published +received):\n%s", diff)
	}
}

// theStreamHolds checks the order's events: these, in this order, numbered
// without a gap, each with an id of its own.
func (w *world) theStreamHolds(o *order, types ...string) {
	w.t.Helper()
	var got []string
	ids := map[string]bool{}
	for i, event := range o.History() {
		got = append(got, event.Type)
		ids[event.EventID] = true
		if event.Revision != int64(i) {
			w.t.Errorf("event %d of the order has revision %d", i, event.Revision)
		}
		for _, private := range []string{"name", "email", "address", "recipient"} {
			if _, ok := event.Data[private]; ok {
				w.t.Errorf("%s holds the personal field %q", event.Type, private)
			}
		}
	}
	if diff := cmp.Diff(types, got); diff != "" || len(ids) != len(got) {
		w.t.Errorf("%d ids; events of the order (-want +got):\n%s", len(ids), diff)
	}
}

func orderKeepsItsPrice(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	before := anna.Orders(line("tea", 3))

	a := w.call(request{"catalog", http.MethodPut, "/products/" + w.sku("tea") + "/price", money{500, "EUR"}, nil})
	if err := a.must(http.StatusOK); err != nil {
		w.t.Fatal(err)
	}
	w.Eventually("orders take the new price", func() error {
		if after := anna.Orders(line("tea", 3)); after.Total != (money{1500, "EUR"}) {
			return fmt.Errorf("an order comes to %v", after.Total)
		}
		return nil
	})
	if now := before.Now(); now.Total != (money{1350, "EUR"}) {
		w.t.Errorf("the order placed before now comes to %v", now.Total)
	}
}

func parcelFollowsTheCustomer(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 1))
	w.Packer().Packs(o)
	w.Dispatcher().Sees(o, "ready")

	anna.Moves(address{Line1: "12 Quai d'Orléans", City: "Île-de-Bréhat", Postcode: "22870", Country: "FR"})
	w.Eventually("the parcel goes to the new address", func() error {
		if parcel := w.Dispatcher().Sees(o, "ready"); *parcel.Address != anna.Address {
			return fmt.Errorf("it goes to %+v", parcel.Address)
		}
		return nil
	})
	sent := anna.Address
	w.Dispatcher().Dispatches(o)
	o.Becomes("dispatched")

	anna.Moves(address{Line1: "1 High Street", City: "Leeds", Postcode: "LS1 1AA", Country: "GB"})
	second := anna.Orders(line("tea", 1))
	w.Packer().Packs(second)
	w.Eventually("dispatch knows the newest address", func() error {
		if parcel := w.Dispatcher().Sees(second, "ready"); *parcel.Address != anna.Address {
			return fmt.Errorf("the next parcel goes to %+v", parcel.Address)
		}
		return nil
	})
	if parcel := w.Dispatcher().Sees(o, "dispatched"); *parcel.Address != sent {
		w.t.Errorf("the parcel that has left is said to have gone to %+v", parcel.Address)
	}
}
