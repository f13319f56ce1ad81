package shipments

import (
	"context"
	"fmt"
	"math"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Get returns the shipment of an order, or [ErrUnknown].
func (s *Store) Get(ctx context.Context, orderID string) (Shipment, error) {
	shipment, err := load(ctx, s.db, orderID)
	if err == nil && shipment.Status() == StatusUnknown {
		err = fmt.Errorf("shipment %s: %w", orderID, ErrUnknown)
	}
	return shipment, err
}

// place is where a shipment stands in the list. Ids break ties between orders
// packed in the same microsecond.
type place struct {
	packedAt int64
	orderID  string
}

// top is the place above the newest shipment.
func top() place { return place{packedAt: math.MaxInt64} }

// list returns up to limit shipments below a place, newest first; an empty
// status means any.
func (s *Store) list(ctx context.Context, status Status, below place, limit int) ([]Shipment, error) {
	where, args := `s.packed_at > 0`, []any{below.packedAt, below.orderID, limit}
	if status != StatusUnknown {
		where, args = `s.status = $4`, append(args, string(status))
	}
	rows, err := s.db.Query(ctx, selectShipments+`WHERE `+where+`
		AND (s.packed_at, s.order_id) < ($1, $2) ORDER BY s.packed_at DESC, s.order_id DESC LIMIT $3`, args...)
	if err != nil {
		return nil, fmt.Errorf("list shipments: %w", err)
	}
	shipments, err := sqldb.Collect(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list shipments: %w", err)
	}
	return shipments, nil
}

// Ledger tells how far each row has come: shipments in packing's events, copies
// of customers in the customer's. Shipments of orders that are not known to be
// packed have not begun.
func (s *Store) Ledger(ctx context.Context, after string, limit int) ([]service.LedgerRow, error) {
	rows, err := s.db.Query(ctx, `SELECT subject, sequence FROM (
			SELECT order_id AS subject, packing_sequence AS sequence FROM shipment WHERE packed_at > 0
			UNION ALL
			SELECT customer_id, CASE WHEN name_sequence > address_sequence THEN name_sequence ELSE address_sequence END FROM customer
		) AS ledger WHERE subject > $1 ORDER BY subject LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger of shipments: %w", err)
	}
	ledger, err := sqldb.Collect(rows, func(row sqldb.Row) (r service.LedgerRow, err error) {
		return r, row.Scan(&r.Subject, &r.LastSequence)
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of shipments: %w", err)
	}
	return ledger, nil
}

// Trace tells what the row of an order's shipment says now, and since when.
func (s *Store) Trace(ctx context.Context, orderID string) ([]service.TraceItem, error) {
	shipment, err := load(ctx, s.db, orderID)
	if err != nil || shipment.Version < 0 {
		return nil, err
	}
	detail := string(shipment.Status())
	if shipment.Status() == StatusUnknown {
		detail = "cancelled before it was packed"
	}
	return []service.TraceItem{{
		At: shipment.ChangedAt, Kind: "wrote", ID: orderID, Type: "shipment", Sequence: &shipment.Version,
		CorrelationID: shipment.CorrelationID, Detail: detail,
	}}, nil
}
