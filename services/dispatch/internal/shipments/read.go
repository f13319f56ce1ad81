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
