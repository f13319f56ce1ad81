package story

import (
	"context"
	"errors"
	"fmt"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Trace tells what the row of an order says now and since when, and what became
// of its mails.
func (s *Store) Trace(ctx context.Context, orderID string) ([]service.TraceItem, error) {
	var items []service.TraceItem
	item := service.TraceItem{Kind: "wrote", ID: orderID, Type: "customer_order"}
	var sequence, placedAt, packedAt, dispatchedAt, cancelledAt, writtenAt int64
	err := s.db.QueryRow(ctx, `SELECT placed_at, packed_at, dispatched_at, cancelled_at, order_sequence, correlation_id, written_at
		FROM customer_order WHERE order_id = $1`, orderID).
		Scan(&placedAt, &packedAt, &dispatchedAt, &cancelledAt, &sequence, &item.CorrelationID, &writtenAt)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
	case err != nil:
		return nil, fmt.Errorf("trace order %s: %w", orderID, err)
	default:
		item.At, item.Detail = sqldb.Time(writtenAt), statusOf(packedAt, dispatchedAt, cancelledAt)
		if sequence != never {
			item.Sequence = &sequence
		}
		if placedAt == 0 {
			item.Detail += ", not known to be placed yet"
		}
		items = append(items, item)
	}
	rows, err := s.db.Query(ctx, `SELECT mail_id, kind, status, attempts, reason, correlation_id, causation_id, written_at, settled_at
		FROM mail WHERE order_id = $1 ORDER BY written_at, mail_id`, orderID)
	if err != nil {
		return nil, fmt.Errorf("trace mails of order %s: %w", orderID, err)
	}
	posted, err := sqldb.Collect(rows, scanPosted)
	if err != nil {
		return nil, fmt.Errorf("trace mails of order %s: %w", orderID, err)
	}
	return append(items, posted...), nil
}

// scanPosted reads a mail as part of a trace. One that waits to be sent is
// pending; one that was given up says so.
func scanPosted(row sqldb.Row) (service.TraceItem, error) {
	item := service.TraceItem{Kind: "mailed"}
	var status, reason string
	var writtenAt, settledAt int64
	err := row.Scan(&item.ID, &item.Type, &status, &item.Attempts, &reason, &item.CorrelationID, &item.CausationID, &writtenAt, &settledAt)
	item.At, item.Detail = sqldb.Time(settledAt), status
	switch status {
	case queued:
		item.At, item.Kind = sqldb.Time(writtenAt), "pending"
	case sent, failed:
		item.Since = sqldb.Time(writtenAt)
	}
	if reason != "" {
		item.Detail += ": " + reason
	}
	return item, err
}
