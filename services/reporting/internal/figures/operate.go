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
