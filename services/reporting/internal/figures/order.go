package figures

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// order is what is known about an order; times are microseconds, 0 is never.
type order struct {
	placedAt, packedAt, dispatchedAt, cancelledAt   int64
	packingDelayedAt, dispatchDelayedAt, returnedAt int64
	amount                                          int64
	currency                                        string
}

// status is what the facts amount to. A physical fact wins: a parcel that left
// is dispatched, whatever was decided meanwhile.
func (o order) status() figure {
	switch {
	case o.dispatchedAt > 0:
		return dispatchedOrders
	case o.cancelledAt > 0:
		return cancelledOrders
	case o.packedAt > 0:
		return packedOrders
	default:
		return placedOrders
	}
}

// without is the order as it was before the fact that an event told.
func (o order) without(fact order) order {
	if fact.placedAt > 0 {
		o.placedAt, o.amount, o.currency = 0, 0, ""
	}
	if fact.packedAt > 0 {
		o.packedAt = 0
	}
	if fact.dispatchedAt > 0 {
		o.dispatchedAt = 0
	}
	if fact.cancelledAt > 0 {
		o.cancelledAt = 0
	}
	if fact.packingDelayedAt > 0 {
		o.packingDelayedAt = 0
	}
	if fact.dispatchDelayedAt > 0 {
		o.dispatchDelayedAt = 0
	}
	if fact.returnedAt > 0 {
		o.returnedAt = 0
	}
	return o
}

// add returns the statement that adds one fact to an order's row, unless that
// fact is there: then it touches nothing and returns no row.
func add(fact order) string {
	column, more := "cancelled_at", ""
	switch {
	case fact.placedAt > 0:
		column, more = "placed_at", "amount = excluded.amount, currency = excluded.currency,"
	case fact.packedAt > 0:
		column = "packed_at"
	case fact.dispatchedAt > 0:
		column = "dispatched_at"
	case fact.packingDelayedAt > 0:
		column = "packing_delayed_at"
	case fact.dispatchDelayedAt > 0:
		column = "dispatch_delayed_at"
	case fact.returnedAt > 0:
		column = "returned_at"
	}
	return `INSERT INTO order_fact (order_id, placed_at, packed_at, dispatched_at, cancelled_at, amount, currency,
			order_sequence, correlation_id, written_at, packing_delayed_at, dispatch_delayed_at, returned_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (order_id) DO UPDATE SET ` + column + ` = excluded.` + column + `, ` + more + `
			order_sequence = CASE WHEN excluded.order_sequence > order_fact.order_sequence
				THEN excluded.order_sequence ELSE order_fact.order_sequence END,
			written_at = excluded.written_at
		WHERE order_fact.` + column + ` = 0
		RETURNING placed_at, packed_at, dispatched_at, cancelled_at, amount, currency,
			packing_delayed_at, dispatch_delayed_at, returned_at`
}

// note adds the one fact that an event tells about an order, and the movements
// that follow from it.
func (s *Store) note(ctx context.Context, tx sqldb.Tx, e eventbus.Event, fact order) error {
	if id, err := uuid.Parse(e.Subject); err != nil || id.String() != e.Subject {
		return inbox.Park(fmt.Errorf("subject %q is not the id of an order", e.Subject))
	}
	sequence := int64(never)
	if fact.placedAt > 0 || fact.cancelledAt > 0 {
		sequence = e.Sequence // the others are counted by those who say them, each by its own
	}
	var now order
	err := tx.QueryRow(ctx, add(fact), e.Subject, fact.placedAt, fact.packedAt, fact.dispatchedAt, fact.cancelledAt,
		fact.amount, fact.currency, sequence, e.CorrelationID, sqldb.Micros(time.Now()),
		fact.packingDelayedAt, fact.dispatchDelayedAt, fact.returnedAt).
		Scan(&now.placedAt, &now.packedAt, &now.dispatchedAt, &now.cancelledAt, &now.amount, &now.currency,
			&now.packingDelayedAt, &now.dispatchDelayedAt, &now.returnedAt)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil // known already
	}
	if err == nil {
		err = move(ctx, tx, now.without(fact), now)
	}
	if err != nil {
		return fmt.Errorf("note %s of order %s: %w", e.Type, e.Subject, err)
	}
	tx.AfterCommit(s.ring)
	return nil
}
