package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// Teller tells the story.
type Teller struct {
	// Client calls the services.
	Client *client.Client
	// Out takes the story.
	Out io.Writer
	// Patience is how long one step may take.
	Patience time.Duration
	// Suffix keeps the names of one telling apart from those of others on the same system.
	Suffix string
}

// cast is who and what appears in the story.
type cast struct {
	customer client.Customer
	tea, cup client.Product
}

// Tell tells the whole story.
func (t Teller) Tell(ctx context.Context) error {
	cast, err := t.prepare(ctx)
	if err != nil {
		return err
	}
	normal, err := t.normal(ctx, cast)
	if err != nil {
		return err
	}
	if err := t.rejected(ctx, cast); err != nil {
		return err
	}
	if err := t.cancelled(ctx, cast); err != nil {
		return err
	}
	late, err := t.forgotten(ctx, cast)
	if err != nil {
		return err
	}
	if err := t.story(ctx, cast.customer.ID); err != nil {
		return err
	}
	if err := t.figures(ctx, late); err != nil {
		return err
	}
	return t.trace(ctx, normal)
}

func (t Teller) prepare(ctx context.Context) (cast, error) {
	t.chapter("Something to sell, and somebody who buys")
	c := cast{
		tea: client.Product{SKU: "tea-" + t.Suffix, Name: "Green tea, 250 g", Price: client.Money{Amount: 990, Currency: "EUR"}},
		cup: client.Product{SKU: "cup-" + t.Suffix, Name: "Cup, white", Price: client.Money{Amount: 1450, Currency: "EUR"}},
	}
	for _, product := range []client.Product{c.tea, c.cup} {
		if err := t.Client.ListProduct(ctx, product); err != nil {
			return c, err
		}
		t.say("catalog", "lists %s (%s) at %s", product.SKU, product.Name, product.Price)
	}
	customer, err := t.Client.RegisterCustomer(ctx, client.Customer{
		Name: "Ada Example", Email: "ada-" + t.Suffix + "@orderflow.example",
		Address: client.Address{Line1: "Example Street 1", City: "Berlin", Postcode: "10115", Country: "DE"},
	})
	if err != nil {
		return c, err
	}
	t.say("customer", "registers %s as %s", customer.Name, customer.ID)
	c.customer = customer
	return c, nil
}

// normal is the story of an order that goes well.
func (t Teller) normal(ctx context.Context, c cast) (orderID string, err error) {
	t.chapter("An order that goes well")
	orderID, err = t.place(ctx, c, client.Line{SKU: c.tea.SKU, Quantity: 2}, client.Line{SKU: c.cup.SKU, Quantity: 1})
	if err != nil {
		return "", err
	}
	if err := t.Client.Pack(ctx, orderID, "Grace"); err != nil {
		return "", err
	}
	t.say("packing", "Grace has packed it")
	var shipment client.Shipment
	err = t.wait(ctx, "a shipment", func(ctx context.Context) error {
		shipment, err = t.Client.Shipment(ctx, orderID)
		return expect(err, shipment.Status, "ready")
	})
	if err != nil {
		return "", err
	}
	t.say("dispatch", "has a shipment for %s, with the address it knows from the customer's events", shipment.Recipient)
	if err := t.orderIs(ctx, orderID, "packed"); err != nil {
		return "", err
	}
	if err := t.Client.Dispatch(ctx, orderID, "Parcel Post", "PP-"+t.Suffix); err != nil {
		return "", err
	}
	t.say("dispatch", "has given it to the carrier")
	return orderID, t.orderIs(ctx, orderID, "dispatched")
}

// rejected is the story of an order that packing says no to.
func (t Teller) rejected(ctx context.Context, c cast) error {
	t.chapter("An order that packing rejects")
	orderID, err := t.place(ctx, c, client.Line{SKU: c.cup.SKU, Quantity: 500})
	if err != nil {
		return err
	}
	if err := t.Client.Reject(ctx, orderID, "only 12 cups left"); err != nil {
		return err
	}
	t.say("packing", "rejects it: only 12 cups left")
	return t.orderIs(ctx, orderID, "cancelled")
}

// cancelled is the story of an order whose customer changes their mind.
func (t Teller) cancelled(ctx context.Context, c cast) error {
	t.chapter("An order that its customer cancels")
	orderID, err := t.place(ctx, c, client.Line{SKU: c.tea.SKU, Quantity: 1})
	if err != nil {
		return err
	}
	if err := t.Client.CancelOrder(ctx, orderID, "ordered by mistake"); err != nil {
		return err
	}
	if err := t.orderIs(ctx, orderID, "cancelled"); err != nil {
		return err
	}
	return t.jobIs(ctx, orderID, "cancelled", "takes it off the worklist")
}

// place places an order, as soon as the order service knows the customer and the products, and follows it to packing.
func (t Teller) place(ctx context.Context, c cast, lines ...client.Line) (string, error) {
	var order client.Order
	err := t.wait(ctx, "an order", func(ctx context.Context) (err error) {
		order, err = t.Client.PlaceOrder(ctx, c.customer.ID, lines...)
		return err
	})
	if err != nil {
		return "", err
	}
	t.say("order", "accepts %s for %s", order.ID, order.Total)
	return order.ID, t.jobIs(ctx, order.ID, "pending", "has it on the worklist")
}

func (t Teller) jobIs(ctx context.Context, orderID, status, sentence string) error {
	err := t.wait(ctx, "a job in packing that is "+status, func(ctx context.Context) error {
		now, err := t.Client.JobStatus(ctx, orderID)
		return expect(err, now, status)
	})
	if err != nil {
		return err
	}
	t.say("packing", "%s", sentence)
	return nil
}

func (t Teller) orderIs(ctx context.Context, orderID, status string) error {
	var order client.Order
	err := t.wait(ctx, "an order that is "+status, func(ctx context.Context) (err error) {
		order, err = t.Client.Order(ctx, orderID)
		return expect(err, order.Status, status)
	})
	if err != nil {
		return err
	}
	if order.CancelReason != "" {
		status += ": " + order.CancelReason
	}
	t.say("order", "has on the order's stream that it is %s", status)
	return nil
}

func expect(err error, got, want string) error {
	if err == nil && got != want {
		return fmt.Errorf("is %q, not %q: %w", got, want, client.ErrNotYet)
	}
	return err
}

func (t Teller) wait(ctx context.Context, what string, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, t.Patience)
	defer cancel()
	return t.Client.Eventually(ctx, what, attempt)
}

func (t Teller) chapter(title string) {
	fmt.Fprintf(t.Out, "\n%s\n%s\n", title, strings.Repeat("-", len(title)))
}

func (t Teller) say(who, format string, args ...any) {
	fmt.Fprintf(t.Out, "  %-10s %s\n", who, fmt.Sprintf(format, args...))
}
