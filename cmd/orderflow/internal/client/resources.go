package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"

	"orderflow/pkg/service"
)

// Money is an amount in minor units.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// String writes the money with the decimals that its currency has, as in 19.80 EUR or 1980 JPY; with two where the
// currency is not known.
func (m Money) String() string {
	decimals := 2
	if unit, err := currency.ParseISO(m.Currency); err == nil {
		decimals, _ = currency.Standard.Rounding(unit)
	}
	digits, sign := strconv.FormatInt(m.Amount, 10), ""
	if m.Amount < 0 {
		digits, sign = digits[1:], "-"
	}
	if decimals == 0 {
		return sign + digits + " " + m.Currency
	}
	if short := decimals + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	point := len(digits) - decimals
	return sign + digits[:point] + "." + digits[point:] + " " + m.Currency
}

// Product is what the catalog lists.
type Product struct {
	SKU   string `json:"sku"`
	Name  string `json:"name"`
	Price Money  `json:"price"`
}

// ListProduct adds a product to the catalog.
func (c *Client) ListProduct(ctx context.Context, product Product) error {
	return c.post(ctx, "catalog", "/products", product, nil)
}

// ChangePrice sets the price of a product.
func (c *Client) ChangePrice(ctx context.Context, sku string, price Money) error {
	return c.call(ctx, http.MethodPut, "catalog", "/products/"+url.PathEscape(sku)+"/price", price, nil)
}

// Forget has a customer forgotten.
func (c *Client) Forget(ctx context.Context, customerID string) error {
	return c.post(ctx, "customer", "/customers/"+customerID+"/forget", nil, nil)
}

// Address is a postal address.
type Address struct {
	Line1    string `json:"line1"`
	City     string `json:"city"`
	Postcode string `json:"postcode"`
	Country  string `json:"country"`
}

// Customer is somebody who orders.
type Customer struct {
	ID      string  `json:"customerId,omitempty"`
	Name    string  `json:"name"`
	Email   string  `json:"email"`
	Address Address `json:"address"`
}

// RegisterCustomer registers a customer and returns it with its id.
func (c *Client) RegisterCustomer(ctx context.Context, customer Customer) (Customer, error) {
	var registered Customer
	err := c.post(ctx, "customer", "/customers", customer, &registered)
	return registered, err
}

// Line is one line of an order.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// Order is an order as the order service tells it.
type Order struct {
	ID           string `json:"orderId"`
	Status       string `json:"status"`
	Total        Money  `json:"total"`
	CancelReason string `json:"cancelReason"`
	Version      int64  `json:"version"`
}

// PlaceOrder places an order.
func (c *Client) PlaceOrder(ctx context.Context, customerID string, lines ...Line) (Order, error) {
	var placed Order
	body := struct {
		CustomerID string `json:"customerId"`
		Lines      []Line `json:"lines"`
	}{customerID, lines}
	err := c.post(ctx, "order", "/orders", body, &placed)
	return placed, err
}

// Order reads an order.
func (c *Client) Order(ctx context.Context, id string) (Order, error) {
	var order Order
	err := c.get(ctx, "order", "/orders/"+id, &order)
	return order, err
}

// Process is where the process of an order stands.
type Process struct {
	State    string `json:"state"`
	Deadline struct {
		Kind  string    `json:"kind"`
		DueAt time.Time `json:"dueAt"`
	} `json:"deadline"`
}

// Process reads the process of an order.
func (c *Client) Process(ctx context.Context, orderID string) (Process, error) {
	var process Process
	err := c.get(ctx, "order", "/orders/"+orderID+"/fulfilment", &process)
	return process, err
}

// CancelOrder cancels an order for its customer.
func (c *Client) CancelOrder(ctx context.Context, id, reason string) error {
	return c.post(ctx, "order", "/orders/"+id+"/cancel", map[string]string{"reason": reason}, nil)
}

// JobStatus reads how far packing is with an order.
func (c *Client) JobStatus(ctx context.Context, orderID string) (string, error) {
	var job struct{ Status string }
	err := c.get(ctx, "packing", "/jobs/"+orderID, &job)
	return job.Status, err
}

// Pack says that somebody has packed an order.
func (c *Client) Pack(ctx context.Context, orderID, packer string) error {
	return c.post(ctx, "packing", "/jobs/"+orderID+"/pack", map[string]string{"packedBy": packer}, nil)
}

// Reject says that an order cannot be packed.
func (c *Client) Reject(ctx context.Context, orderID, reason string) error {
	return c.post(ctx, "packing", "/jobs/"+orderID+"/reject", map[string]string{"reason": reason}, nil)
}

// Shipment is what dispatch sends.
type Shipment struct {
	Status    string   `json:"status"`
	Recipient string   `json:"recipient"`
	Address   *Address `json:"address"`
}

// Shipment reads a shipment.
func (c *Client) Shipment(ctx context.Context, orderID string) (Shipment, error) {
	var shipment Shipment
	err := c.get(ctx, "dispatch", "/shipments/"+orderID, &shipment)
	return shipment, err
}

// Dispatch says that a shipment is on its way.
func (c *Client) Dispatch(ctx context.Context, orderID, carrier, trackingNumber string) error {
	body := map[string]string{"carrier": carrier, "trackingNumber": trackingNumber}
	return c.post(ctx, "dispatch", "/shipments/"+orderID+"/dispatch", body, nil)
}

// Story is what crm keeps about a customer.
type Story struct {
	Name   string
	Email  string
	Orders []struct {
		OrderID string
		Status  string
		Total   Money
	}
	Mails []struct {
		OrderID, Kind, Subject, Status string
	}
}

// Story reads a customer's story.
func (c *Client) Story(ctx context.Context, customerID string) (Story, error) {
	var story Story
	err := c.get(ctx, "crm", "/customers/"+customerID, &story)
	return story, err
}

// Summary is what reporting shows.
type Summary struct {
	OrdersByStatus map[string]int
	Revenue        []Money
	Delayed        struct{ Packing, Dispatch int } // orders that were late there
	Returned       int
}

// Orders is the number of orders that reporting knows.
func (s Summary) Orders() int {
	total := 0
	for _, n := range s.OrdersByStatus {
		total += n
	}
	return total
}

// Summary reads the figures for management.
func (c *Client) Summary(ctx context.Context) (Summary, error) {
	var summary Summary
	err := c.get(ctx, "reporting", "/summary", &summary)
	return summary, err
}

// TraceItem is one thing that happened to an order in one service.
type TraceItem struct {
	service.TraceItem
	// Service is where it happened.
	Service string `json:"-"`
}

// Trace reads what happened to an order in one service.
func (c *Client) Trace(ctx context.Context, name, orderID string) ([]TraceItem, error) {
	var trace struct{ Items []TraceItem }
	if err := c.get(ctx, name, "/trace/"+url.PathEscape(orderID), &trace); err != nil {
		return nil, err
	}
	for i := range trace.Items {
		trace.Items[i].Service = name
	}
	return trace.Items, nil
}

// Day is what was ordered on one UTC day, named as in 2006-01-02.
type Day struct {
	Day     string
	Orders  int64
	Revenue []Money
}

// OrdersPerDay reads every day from the first to the last; at most 366 can be asked for.
func (c *Client) OrdersPerDay(ctx context.Context, first, last time.Time) ([]Day, error) {
	var days struct{ Items []Day }
	err := c.get(ctx, "reporting", "/orders-per-day?from="+first.Format(time.DateOnly)+"&to="+last.Format(time.DateOnly), &days)
	return days.Items, err
}

// LedgerPage reads up to limit rows of a service's ledger behind a cursor, which is empty for the first page and after
// the last.
func (c *Client) LedgerPage(ctx context.Context, name, cursor string, limit int) (rows []service.LedgerRow, next string, err error) {
	var page service.Page[service.LedgerRow]
	err = c.get(ctx, name, fmt.Sprintf("/ledger?limit=%d&cursor=%s", limit, url.QueryEscape(cursor)), &page)
	return page.Items, page.NextCursor, err
}

// LedgerOf reads the rows that a service has of one subject, of every kind.
func (c *Client) LedgerOf(ctx context.Context, name, subject string) ([]service.LedgerRow, error) {
	var page service.Page[service.LedgerRow]
	err := c.get(ctx, name, "/ledger?limit=100&subject="+url.QueryEscape(subject), &page)
	return page.Items, err
}

// Announcements reads up to 100 announcements of a service behind a cursor, which is empty for the first page and after
// the last.
func (c *Client) Announcements(ctx context.Context, name, cursor string) (found []service.Announcement, next string, err error) {
	var page service.Page[service.Announcement]
	err = c.get(ctx, name, "/announcements?limit=100&cursor="+url.QueryEscape(cursor), &page)
	return page.Items, page.NextCursor, err
}

// Ledger calls visit with the subject of every row that a service has, page by page.
func (c *Client) Ledger(ctx context.Context, name string, visit func(subject string)) error {
	for cursor := ""; ; {
		rows, next, err := c.LedgerPage(ctx, name, cursor, 100)
		if err != nil {
			return err
		}
		for _, row := range rows {
			visit(row.Subject)
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}
