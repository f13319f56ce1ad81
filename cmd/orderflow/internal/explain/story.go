package explain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/pkg/journey"
	"orderflow/pkg/service"
)

// Story is everything that is known of an order.
type Story struct {
	OrderID string `json:"orderId"`
	// Status, Total and Version are what the order service says; empty when it
	// does not answer, or does not know the order.
	Status  string       `json:"status,omitempty"`
	Total   client.Money `json:"total,omitzero"`
	Version int64        `json:"version"`
	// Items are in the order in which they happened, causes before effects.
	Items []journey.Item `json:"items"`
	// Awaited is what should come next and has not.
	Awaited []journey.Awaited `json:"awaited"`
	// Stuck are events that were held or parked.
	Stuck []Stuck `json:"stuck"`
	// Spent is what the time was spent with, in ms, by what went on, as
	// [journey.Spent] counts it.
	Spent map[string]float64 `json:"spentMs"`
	// Silent names the services that do not answer, with the reason: what they
	// know is missing.
	Silent map[string]string `json:"silent,omitempty"`
}

// Stuck is an event that could not be handled or published.
type Stuck struct {
	Service  string `json:"service"`
	ID       string `json:"id"`
	Type     string `json:"type"`
	Status   string `json:"status" enum:"held,parked"`
	Attempts int    `json:"attempts"`
	Reason   string `json:"reason,omitempty"`
	// Since is when it arrived, and DueAt when it is tried again by itself.
	Since time.Time `json:"since"`
	DueAt time.Time `json:"dueAt,omitzero"`
	// Mend is the command that has it tried again now; empty where there is none.
	Mend string `json:"mend,omitempty"`
}

// ErrUnknown says that nobody has heard of the order.
var ErrUnknown = errors.New("nobody knows this order")

// ErrCustomer says that the id is one of a customer: services have heard of it, and
// of no order.
var ErrCustomer = errors.New("this is the id of a customer, not of an order")

// aboutCustomer reports whether everything that happened, happened to a customer.
func aboutCustomer(items []journey.Item) bool {
	return len(items) > 0 && !slices.ContainsFunc(items, func(item journey.Item) bool {
		return !strings.HasPrefix(item.Type, "customer.events.")
	})
}

// Services are those that are asked.
func Services() []string {
	return []string{"customer", "catalog", "order", "packing", "dispatch", "crm", "reporting"}
}

// Read asks every service at once. Services that do not answer are named in the
// story. It returns [ErrUnknown] when all answer and none knows the order.
func Read(ctx context.Context, c *client.Client, orderID string) (Story, error) {
	story := Story{
		OrderID: orderID, Version: -1, Items: []journey.Item{}, Stuck: []Stuck{}, Spent: map[string]float64{}, Silent: map[string]string{},
	}
	told := make([][]journey.Item, len(Services()))
	failed := make([]error, len(told))
	var asked sync.WaitGroup
	for i, name := range Services() {
		asked.Go(func() { told[i], failed[i] = trace(ctx, c, name, orderID) })
	}
	var order client.Order
	var orderFailed error
	asked.Go(func() { order, orderFailed = c.Order(ctx, orderID) })
	asked.Wait()
	for i, name := range Services() {
		if failed[i] != nil {
			story.Silent[name] = reason(failed[i])
		}
		story.Items = append(story.Items, told[i]...)
	}
	if orderFailed == nil {
		story.Status, story.Total, story.Version = order.Status, order.Total, order.Version
	}
	if len(story.Items) == 0 && story.Status == "" && len(story.Silent) == 0 {
		return story, fmt.Errorf("%w: %s", ErrUnknown, orderID)
	}
	story.Items = journey.Arrange(story.Items)
	if story.Status == "" && aboutCustomer(story.Items) {
		return story, fmt.Errorf("%w: %s (GET /orders?customerId=%s of the order service lists the orders of theirs)", ErrCustomer, orderID, orderID)
	}
	story.Spent = journey.Spent(story.Items)
	story.Awaited = journey.Await(story.Items, story.Status, slices.Collect(maps.Keys(story.Silent)), time.Now())
	for _, item := range story.Items {
		if item.Kind == "held" || item.Kind == "parked" {
			story.Stuck = append(story.Stuck, stuck(item, orderID))
		}
	}
	return story, nil
}

func trace(ctx context.Context, c *client.Client, name, orderID string) ([]journey.Item, error) {
	items, err := c.Trace(ctx, name, orderID)
	if client.IsNotFound(err) {
		return nil, nil
	}
	told := service.Trace{Service: name, OrderID: orderID}
	for _, item := range items {
		told.Items = append(told.Items, item.TraceItem)
	}
	return journey.Items(told), err
}

func stuck(item journey.Item, orderID string) Stuck {
	s := Stuck{
		Service: item.Service, ID: item.ID, Type: item.Type, Status: item.Kind, Attempts: item.Attempts,
		Reason: strings.TrimSpace(item.Detail), Since: item.At, DueAt: item.DueAt,
	}
	if item.ID != orderID { // the process of an order that was put aside is no event: only the order service tries it again
		s.Mend = fmt.Sprintf("orderflow deadletters redrive --service %s %s", item.Service, item.ID)
	}
	return s
}

func reason(err error) string {
	if why, unreachable := client.IsUnreachable(err); unreachable {
		return "does not answer: " + why
	}
	return err.Error()
}
