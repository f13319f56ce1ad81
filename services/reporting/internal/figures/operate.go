package figures

import (
	"context"
	"errors"
	"fmt"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Trace tells what the row of an order says now, and since when.
func (s *Store) Trace(ctx context.Context, orderID string) ([]service.TraceItem, error) {
	item := service.TraceItem{Kind: "wrote", ID: orderID, Type: "order_fact"}
	var o order
	var sequence, writtenAt int64
	err := s.db.QueryRow(ctx, `SELECT placed_at, packed_at, dispatched_at, cancelled_at, order_sequence, correlation_id, written_at
		FROM order_fact WHERE order_id = $1`, orderID).
		Scan(&o.placedAt, &o.packedAt, &o.dispatchedAt, &o.cancelledAt, &sequence, &item.CorrelationID, &writtenAt)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("trace order %s: %w", orderID, err)
	}
	item.At, item.Detail = sqldb.Time(writtenAt), string(o.status())
	if sequence != never {
		item.Sequence = &sequence
	}
	if o.placedAt == 0 {
		item.Detail += ", not counted: not known to be placed yet"
	}
	return []service.TraceItem{item}, nil
}

// Ledger tells how far the rows of orders, customers and prices have come, by
// subject. For an order that is up to which of the order's own events: -1 when
// only other services' have arrived.
func (s *Store) Ledger(ctx context.Context, after string, limit int) ([]service.LedgerRow, error) {
	rows, err := s.db.Query(ctx, `SELECT subject, last_sequence FROM (
			SELECT order_id AS subject, order_sequence AS last_sequence FROM order_fact WHERE order_id > $1 ORDER BY order_id LIMIT $2) AS o
		UNION ALL SELECT subject, last_sequence FROM (
			SELECT customer_id AS subject, last_sequence FROM customer WHERE customer_id > $1 ORDER BY customer_id LIMIT $2) AS c
		UNION ALL SELECT subject, last_sequence FROM (
			SELECT sku AS subject, last_sequence FROM price WHERE sku > $1 ORDER BY sku LIMIT $2) AS p
		ORDER BY 1 LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger of reporting: %w", err)
	}
	ledger, err := sqldb.Collect(rows, func(row sqldb.Row) (r service.LedgerRow, err error) {
		return r, row.Scan(&r.Subject, &r.LastSequence)
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of reporting: %w", err)
	}
	return ledger, nil
}
