package board

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/viewers"
)

// Newest is how many orders the live board shows.
const Newest = 50

// Money is an amount in the currency's smallest unit.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Line is one line of an order.
type Line struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice Money  `json:"unitPrice"`
}

// Order is an order as the order service tells of it, with the name of its
// customer where crm knows one.
type Order struct {
	OrderID      string    `json:"orderId"`
	CustomerID   string    `json:"customerId"`
	CustomerName string    `json:"customerName,omitempty"`
	Status       string    `json:"status"`
	Lines        []Line    `json:"lines"`
	Total        Money     `json:"total"`
	Version      int64     `json:"version"`
	PlacedAt     time.Time `json:"placedAt"`
	PackedAt     time.Time `json:"packedAt,omitzero"`
	DispatchedAt time.Time `json:"dispatchedAt,omitzero"`
	CancelledAt  time.Time `json:"cancelledAt,omitzero"`
	CancelReason string    `json:"cancelReason,omitempty"`
}

// Page is a page of orders, newest first.
type Page struct {
	Items      []Order `json:"items"`
	NextCursor string  `json:"nextCursor,omitempty"`
	// Problem says why the page is not up to date; empty when it is.
	Problem string `json:"problem,omitempty"`
}

// Orders reads the list of orders. It is safe for concurrent use.
type Orders struct {
	services *neighbours.Neighbours
	names    *Names
}

// NewOrders returns the list of orders with the names given.
func NewOrders(services *neighbours.Neighbours, names *Names) *Orders {
	return &Orders{services, names}
}

// List reads a page; an empty status means any, an empty cursor the first page.
// Names that are not known yet are left out.
func (o *Orders) List(ctx context.Context, status, cursor string, limit int) (Page, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if status != "" {
		query.Set("status", status)
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	page := Page{}
	if err := o.services.Get(ctx, neighbours.Order, "/orders?"+query.Encode(), &page); err != nil {
		return Page{}, err
	}
	if page.Items == nil {
		page.Items = []Order{}
	}
	return page, nil
}

// Named returns a page with the customers' names that are known.
func (o *Orders) Named(page Page) Page {
	page.Items = slices.Clone(page.Items)
	for i := range page.Items {
		page.Items[i].CustomerName = o.names.Known(page.Items[i].CustomerID)
	}
	return page
}

// learn asks crm for the names that a page lacks.
func (o *Orders) learn(ctx context.Context, page Page) {
	ids := make([]string, len(page.Items))
	for i, order := range page.Items {
		ids[i] = order.CustomerID
	}
	o.names.Learn(ctx, ids)
}

// Watch is the live board of a status. Orders come at once, their customers'
// names as crm tells them: it may be slow, behind, or not there at all.
func (o *Orders) Watch(status string) viewers.Source {
	return func(ctx context.Context, emit func(any) bool) {
		last := Page{Items: []Order{}}
		viewers.Every(400*time.Millisecond, 800*time.Millisecond, func(ctx context.Context, emit func(any) bool) bool {
			page, err := o.List(ctx, status, "", Newest)
			if err != nil {
				last.Problem = err.Error()
				return emit(last)
			}
			last = page
			changed := emit(o.Named(last))
			o.learn(ctx, last)
			return emit(o.Named(last)) || changed
		})(ctx, emit)
	}
}
