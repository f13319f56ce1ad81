package listing

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// Listed is an order in the list.
type Listed struct {
	ID        string
	Version   int64
	Order     domain.Order
	WrittenAt time.Time
	// By is what the order is selected and sorted by: columns beside its state,
	// which say the same unless somebody has changed one of them.
	By Selected
}

// Selected is what a list is selected and sorted by.
type Selected struct {
	CustomerID, Status string
	PlacedAt           int64 // microseconds
}

// Query selects orders; zero fields select all.
type Query struct {
	CustomerID string
	Status     string
	// Before is the key of the last order of the page before.
	Before *Key
	Limit  int
}

// Key orders the list.
type Key struct {
	PlacedAt int64 // microseconds
	ID       string
}

// Key is the place of an order in the list.
func (l Listed) Key() Key { return Key{sqldb.Micros(l.Order.PlacedAt), l.ID} }

// Find returns up to q.Limit orders, newest first.
func (l *Listing) Find(ctx context.Context, q Query) ([]Listed, error) {
	var where []string
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if q.CustomerID != "" {
		where = append(where, "customer_id = "+arg(q.CustomerID))
	}
	if q.Status != "" {
		where = append(where, "status = "+arg(q.Status))
	}
	if q.Before != nil {
		where = append(where, "(placed_at, order_id) < ("+arg(q.Before.PlacedAt)+", "+arg(q.Before.ID)+")")
	}
	condition := ""
	if len(where) > 0 {
		condition = "WHERE " + strings.Join(where, " AND ")
	}
	return l.read(ctx, condition+" ORDER BY placed_at DESC, order_id DESC LIMIT "+arg(q.Limit), args...)
}

// Row returns one order as the list shows it, and whether it does.
func (l *Listing) Row(ctx context.Context, id string) (Listed, bool, error) {
	found, err := l.read(ctx, "WHERE order_id = $1", id)
	if err != nil || len(found) == 0 {
		return Listed{}, false, err
	}
	return found[0], true, nil
}

// Select returns the orders that a ledger's query selects, by id.
func (l *Listing) Select(ctx context.Context, q service.LedgerQuery) ([]Listed, error) {
	return l.read(ctx, "WHERE "+q.Where("order_id")+" ORDER BY order_id LIMIT $2", q.Subject, q.Limit)
}

func (l *Listing) read(ctx context.Context, rest string, args ...any) ([]Listed, error) {
	rows, err := l.db.Query(ctx, "SELECT order_id, version, state, written_at, customer_id, status, placed_at FROM order_list "+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("list of orders: %w", err)
	}
	found, err := sqldb.Collect(rows, func(row sqldb.Row) (Listed, error) {
		var listed Listed
		var state string
		var written int64
		by := &listed.By
		if err := row.Scan(&listed.ID, &listed.Version, &state, &written, &by.CustomerID, &by.Status, &by.PlacedAt); err != nil {
			return listed, err
		}
		listed.WrittenAt = sqldb.Time(written)
		var err error
		listed.Order, err = stored.ReadState([]byte(state))
		return listed, err
	})
	if err != nil {
		return nil, fmt.Errorf("list of orders: %w", err)
	}
	return found, nil
}
