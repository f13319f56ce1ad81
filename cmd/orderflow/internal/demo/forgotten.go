package demo

import (
	"context"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// forgotten is the story of an order that nobody packs: after a while the customer is told that it is late, and after
// another that it is cancelled. Where these whiles are long, the customer does not wait for them, and the order is not
// late. It returns how many orders reporting has to count as late for that.
func (t Teller) forgotten(ctx context.Context, c cast) (late int, err error) {
	t.chapter("An order that nobody packs")
	orderID, err := t.place(ctx, c, client.Line{SKU: c.tea.SKU, Quantity: 3})
	if err != nil {
		return 0, err
	}
	placed := time.Now()
	var process client.Process
	err = t.wait(ctx, "the process of the order", func(ctx context.Context) error {
		process, err = t.Client.Process(ctx, orderID)
		return err
	})
	if err != nil {
		return 0, err
	}
	if within := process.Deadline.DueAt.Sub(placed); within > t.Patience/4 {
		t.say("order", "calls it late in %s and not before, and the customer does not wait for that. Sooner it is with", within.Round(time.Minute))
		t.say("", "ORDER_PACK_WITHIN=3s ORDER_CANCEL_UNPACKED_AFTER=6s ORDER_DEADLINES_REST=0s make up")
		if err := t.Client.CancelOrder(ctx, orderID, "found it elsewhere"); err != nil {
			return 0, err
		}
		return 0, t.orderIs(ctx, orderID, "cancelled")
	}
	t.say("order", "expects it to be packed by %s", process.Deadline.DueAt.Format(time.TimeOnly))
	for _, kind := range []string{"order-packing-delayed", "order-cancelled"} {
		if err := t.mailIs(ctx, c.customer.ID, orderID, kind); err != nil {
			return 0, err
		}
	}
	return 1, t.orderIs(ctx, orderID, "cancelled")
}

// mailIs waits for a mail about an order.
func (t Teller) mailIs(ctx context.Context, customerID, orderID, kind string) error {
	var subject string
	err := t.wait(ctx, "the mail "+kind, func(ctx context.Context) error {
		story, err := t.Client.Story(ctx, customerID)
		if err != nil {
			return err
		}
		for _, mail := range story.Mails {
			if mail.OrderID == orderID && mail.Kind == kind {
				subject = mail.Subject
				return nil
			}
		}
		return client.ErrNotYet
	})
	if err != nil {
		return err
	}
	t.say("crm", "writes: %s", subject)
	return nil
}
