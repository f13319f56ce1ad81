package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"orderflow/cmd/orderflow/internal/client"
)

// story waits until crm knows how all orders ended, and shows what it keeps.
func (t Teller) story(ctx context.Context, customerID string) error {
	t.chapter("What crm tells about the customer")
	var story client.Story
	err := t.wait(ctx, "all orders in crm", func(ctx context.Context) (err error) {
		story, err = t.Client.Story(ctx, customerID)
		if err != nil {
			return err
		}
		statuses := []string{}
		for _, order := range story.Orders {
			statuses = append(statuses, order.Status)
		}
		slices.Sort(statuses)
		return expect(nil, strings.Join(statuses, " "), "cancelled cancelled cancelled dispatched")
	})
	if err != nil {
		return err
	}
	t.say("crm", "%s, %s", story.Name, story.Email)
	for _, order := range story.Orders {
		t.say("", "order %s  %-10s  %12s", order.OrderID, order.Status, order.Total)
	}
	for _, mail := range story.Mails {
		t.say("", "mail  %s  %-10s  %s", mail.OrderID, mail.Status, mail.Subject)
	}
	return nil
}

// figures waits until reporting has counted the orders, and those of them that were late, and shows its figures.
func (t Teller) figures(ctx context.Context, late int) error {
	t.chapter("What reporting shows to management")
	var summary client.Summary
	err := t.wait(ctx, "all orders in reporting", func(ctx context.Context) (err error) {
		summary, err = t.Client.Summary(ctx)
		if err == nil && (summary.OrdersByStatus["dispatched"] < 1 || summary.OrdersByStatus["cancelled"] < 3 || summary.Delayed.Packing < late) {
			err = client.ErrNotYet
		}
		return err
	})
	if err != nil {
		return err
	}
	counts := []string{}
	for _, status := range slices.Sorted(maps.Keys(summary.OrdersByStatus)) {
		counts = append(counts, fmt.Sprintf("%d %s", summary.OrdersByStatus[status], status))
	}
	t.say("reporting", "orders: %s", strings.Join(counts, ", "))
	t.say("reporting", "too late: %d in packing, %d in dispatch", summary.Delayed.Packing, summary.Delayed.Dispatch)
	for _, money := range summary.Revenue {
		t.say("reporting", "revenue: %s", money)
	}
	return nil
}

// trace shows what every service has recorded about one order, in order of time.
func (t Teller) trace(ctx context.Context, orderID string) error {
	t.chapter("What every service has recorded about order " + orderID)
	var items []client.TraceItem
	for _, service := range []string{"order", "packing", "dispatch", "crm", "reporting"} {
		err := t.wait(ctx, "a trace in "+service, func(ctx context.Context) error {
			more, err := t.Client.Trace(ctx, service, orderID)
			if err == nil && len(more) == 0 {
				err = client.ErrNotYet
			}
			if err == nil {
				items = append(items, more...)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(items, func(a, b client.TraceItem) int { return a.At.Compare(b.At) })
	for _, item := range items {
		detail := item.Detail
		if item.Sequence != nil {
			detail = strings.TrimSpace(fmt.Sprintf("#%d %s", *item.Sequence, detail))
		}
		fmt.Fprintf(t.Out, "  %8.1f ms  %-9s  %-9s  %s\n", float64(item.At.Sub(items[0].At).Microseconds())/1000,
			item.Service, item.Kind, strings.TrimSpace(item.Type+"  "+detail))
	}
	return nil
}
