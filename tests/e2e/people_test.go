package e2e

import (
	"fmt"
	"net/http"
	"strconv"
)

type money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type address struct {
	Line1    string `json:"line1"`
	Line2    string `json:"line2,omitempty"`
	City     string `json:"city"`
	Postcode string `json:"postcode"`
	Country  string `json:"country"`
}

// customer is somebody who is registered.
type customer struct {
	w          *world
	CustomerID string
	Name       string
	Email      string
	Address    address
	Status     string
	Version    int64
}

// Customer registers somebody.
func (w *world) Customer(name string) *customer {
	w.t.Helper()
	body := map[string]any{
		"name": name, "email": w.scene + "@example.com",
		"address": address{Line1: "Lindenstraße 7", Line2: "中楼 / 2nd floor", City: "Köln", Postcode: "50674", Country: "DE"},
	}
	a := w.call(request{"customer", http.MethodPost, "/customers", body, nil})
	if err := a.must(http.StatusCreated); err != nil {
		w.t.Fatalf("register %s: %v", name, err)
	}
	c, err := parse[customer](a)
	if err != nil {
		w.t.Fatal(err)
	}
	if location := a.header.Get("Location"); location != "/customers/"+c.CustomerID {
		w.t.Errorf("the new customer is at Location %q", location)
	}
	if tag := a.header.Get("ETag"); tag != `"0"` || c.Version != 0 || c.Status != "active" || c.Name != name {
		w.t.Errorf("new customer with ETag %s: %s", tag, a.body)
	}
	w.book.addCustomer(c.CustomerID)
	c.w = w
	return &c
}

// Moves changes the customer's address.
func (c *customer) Moves(to address) {
	c.w.t.Helper()
	c.changes(request{"customer", http.MethodPut, "/customers/" + c.CustomerID + "/address", to, nil})
	c.Address = to
}

// IsDeactivated ends the customer's ordering.
func (c *customer) IsDeactivated(reason string) {
	c.w.t.Helper()
	c.changes(request{"customer", http.MethodPost, "/customers/" + c.CustomerID + "/deactivate", map[string]string{"reason": reason}, nil})
}

func (c *customer) changes(r request) {
	c.w.t.Helper()
	if err := c.w.call(r).must(http.StatusOK); err != nil {
		c.w.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
}

// sku is the id that a product of this test has.
func (w *world) sku(name string) string { return name + "-" + w.scene }

// Product lists a product. Its price is in minor units.
func (w *world) Product(name string, amount int64, currency string) {
	w.t.Helper()
	body := map[string]any{"sku": w.sku(name), "name": "The " + name, "price": money{amount, currency}}
	a := w.call(request{"catalog", http.MethodPost, "/products", body, nil})
	if err := a.must(http.StatusCreated); err != nil {
		w.t.Fatalf("list product %s: %v", name, err)
	}
	if location := a.header.Get("Location"); location != "/products/"+w.sku(name) || a.header.Get("ETag") != `"0"` {
		w.t.Errorf("the new product is at Location %q with ETag %s", location, a.header.Get("ETag"))
	}
}

// wanted is a line of an order to be placed, by the product's name.
type wanted struct {
	product  string
	quantity int64
}

func line(product string, quantity int64) wanted { return wanted{product, quantity} }

// orderBody is the body that orders these lines.
func (c *customer) orderBody(lines ...wanted) map[string]any {
	var list []map[string]any
	for _, l := range lines {
		list = append(list, map[string]any{"sku": c.w.sku(l.product), "quantity": l.quantity})
	}
	return map[string]any{"customerId": c.CustomerID, "lines": list}
}

// Orders places an order and returns it. Where the order service has not heard
// yet of the customer or of a product, the customer tries again.
func (c *customer) Orders(lines ...wanted) *order {
	c.w.t.Helper()
	return c.OrdersWith(nil, lines...)
}

// OrdersWith places an order, with headers.
func (c *customer) OrdersWith(header map[string]string, lines ...wanted) *order {
	c.w.t.Helper()
	var placed answer
	c.w.Eventually(c.Name+"'s order is taken", func() error {
		var err error
		placed, err = c.w.place(request{"order", http.MethodPost, "/orders", c.orderBody(lines...), header})
		return err
	})
	return c.w.placed(placed)
}

// place makes one attempt to place an order. An error says whether trying again
// makes sense: it does when the order service has yet to hear of the customer or
// the product, and with an Idempotency-Key also when the outcome is unknown.
func (w *world) place(r request) (answer, error) {
	keyed := r.header["Idempotency-Key"] != ""
	a, err := w.send(w.t.Context(), r)
	switch {
	case err != nil && !keyed:
		return a, final{err}
	case err != nil || a.status == http.StatusCreated:
		return a, err
	}
	err = a.must(http.StatusCreated)
	if a.status == http.StatusConflict || a.status == http.StatusServiceUnavailable && keyed {
		if after, wrong := strconv.Atoi(a.header.Get("Retry-After")); wrong == nil && after > 0 {
			return a, err
		}
	}
	return a, final{fmt.Errorf("with Retry-After %q: %w", a.header.Get("Retry-After"), err)}
}

// placed writes the promise down and returns the order.
func (w *world) placed(a answer) *order {
	w.t.Helper()
	o, err := parse[order](a)
	if err != nil {
		w.t.Fatal(err)
	}
	if location := a.header.Get("Location"); location != "/orders/"+o.OrderID {
		w.t.Errorf("the order %s is at Location %q", o.OrderID, location)
	}
	if tag := a.header.Get("ETag"); tag != strconv.Quote(strconv.FormatInt(o.Version, 10)) {
		w.t.Errorf("the order of version %d has ETag %s", o.Version, tag)
	}
	w.book.addOrder(o)
	o.w = w
	return &o
}
