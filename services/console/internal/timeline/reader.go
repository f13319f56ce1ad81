package timeline

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"orderflow/pkg/journey"
	"orderflow/pkg/service"
	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/viewers"
)

// Answer says what came of asking one service.
type Answer struct {
	Service string `json:"service"`
	// Problem is why there is nothing from it; empty when it answered.
	Problem string `json:"problem,omitempty"`
	// Items is how many things it told.
	Items int `json:"items"`
}

// Timeline is the way of one order through the services.
type Timeline struct {
	OrderID string `json:"orderId"`
	// Order is the order itself, absent when the order service does not tell.
	Order *board.Order `json:"order,omitempty"`
	// Items are in the order in which they happened, causes before effects.
	Items []journey.Item `json:"items"`
	// Awaited is what should come next.
	Awaited []journey.Awaited `json:"awaited"`
	// Services says who was asked, and who did not answer.
	Services []Answer `json:"services"`
}

// Known reports whether anybody has heard of the order.
func (t Timeline) Known() bool { return t.Order != nil || len(t.Items) > 0 }

// silent lists the services that did not answer.
func (t Timeline) silent() []string {
	var names []string
	for _, answer := range t.Services {
		if answer.Problem != "" {
			names = append(names, answer.Service)
		}
	}
	return names
}

// Reader puts timelines together. It is safe for concurrent use.
type Reader struct {
	services *neighbours.Neighbours
	names    *board.Names
}

// NewReader returns a reader that asks the services given.
func NewReader(services *neighbours.Neighbours, names *board.Names) *Reader {
	return &Reader{services, names}
}

// Read asks every service at once what it knows about an order, and takes as
// long as the slowest.
func (r *Reader) Read(ctx context.Context, orderID string) Timeline {
	return r.read(ctx, orderID, &memory{})
}

// memory is what services told earlier: it stays on a live timeline while one of
// them does not answer.
type memory struct {
	order *board.Order
	told  map[string][]journey.Item
}

func (r *Reader) read(ctx context.Context, orderID string, before *memory) Timeline {
	services := neighbours.Names()
	t := Timeline{OrderID: orderID, Items: []journey.Item{}, Services: make([]Answer, len(services))}
	told := make([][]journey.Item, len(services))
	var asked sync.WaitGroup
	for i, name := range services {
		asked.Go(func() { told[i], t.Services[i] = r.ask(ctx, name, orderID) })
	}
	asked.Go(func() {
		var order board.Order
		// Why it is missing is said by the order service's trace.
		if r.services.Get(ctx, neighbours.Order, "/orders/"+orderID, &order) == nil {
			t.Order = &order
		}
	})
	asked.Wait()
	now := memory{order: cmp.Or(t.Order, before.order), told: map[string][]journey.Item{}}
	for i, name := range services {
		now.told[name] = told[i]
		if t.Services[i].Problem != "" {
			now.told[name] = before.told[name]
		}
		t.Items = append(t.Items, now.told[name]...)
	}
	*before = now
	t.Order = now.order
	t.Items = journey.Arrange(t.Items)
	status := ""
	if t.Order != nil {
		status = t.Order.Status
	}
	t.Awaited = journey.Await(t.Items, status, t.silent(), time.Now())
	return t
}

func (r *Reader) ask(ctx context.Context, name, orderID string) ([]journey.Item, Answer) {
	trace := service.Trace{}
	err := r.services.Get(ctx, name, "/trace/"+orderID, &trace)
	if errors.Is(err, neighbours.ErrNotFound) {
		return nil, Answer{Service: name}
	}
	if err != nil {
		return nil, Answer{Service: name, Problem: err.Error()}
	}
	trace.Service = name
	items := journey.Items(trace)
	return items, Answer{Service: name, Items: len(items)}
}

// named returns a timeline with the customer's name, where it is known.
func (r *Reader) named(t Timeline) Timeline {
	if t.Order != nil {
		order := *t.Order
		order.CustomerName = r.names.Known(order.CustomerID)
		t.Order = &order
	}
	return t
}

func (r *Reader) learn(ctx context.Context, t Timeline) {
	if t.Order != nil {
		r.names.Learn(ctx, []string{t.Order.CustomerID})
	}
}

// Watch is the timeline of one order, live.
func (r *Reader) Watch(orderID string) viewers.Source {
	var before memory
	return viewers.Every(250*time.Millisecond, time.Second, func(ctx context.Context, emit func(any) bool) bool {
		t := r.read(ctx, orderID, &before)
		changed := emit(r.named(t))
		r.learn(ctx, t)
		return emit(r.named(t)) || changed
	})
}
