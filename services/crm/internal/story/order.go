package story

import (
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/letters"
)

// order is what one event tells about an order: fields it does not tell are
// zero. sequence is that of the order's own events, and never for others: each
// service counts its own.
type order struct {
	customerID                string
	placedAt                  int64
	total                     letters.Money
	lines                     string
	packedAt                  int64
	dispatchedAt              int64
	carrier, trackingNumber   string
	cancelledAt               int64
	cancelledBy, cancelReason string
	packingDelayedAt          int64
	dispatchDelayedAt         int64
	sequence                  int64
}

// noteOrder adds facts to the row of the order that the event is about, and
// writes the mail that tells of them. A fact that is there already stays.
func (s *Store) noteOrder(tx sqldb.Tx, e eventbus.Event, kind letters.Kind, o order) error {
	if err := identified("an order", e.Subject); err != nil {
		return err
	}
	if err := identified("a customer", o.customerID); err != nil {
		return err
	}
	if o.lines == "" {
		o.lines = "[]"
	}
	now := sqldb.Micros(time.Now())
	tx.Queue(`INSERT INTO customer_order (order_id, customer_id, placed_at, total_amount, total_currency, lines,
			packed_at, dispatched_at, carrier, tracking_number, cancelled_at, cancelled_by, cancel_reason,
			order_sequence, correlation_id, written_at, packing_delayed_at, dispatch_delayed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
		ON CONFLICT (order_id) DO UPDATE SET
			placed_at = CASE WHEN customer_order.placed_at = 0 THEN excluded.placed_at ELSE customer_order.placed_at END,
			total_amount = CASE WHEN customer_order.placed_at = 0 THEN excluded.total_amount ELSE customer_order.total_amount END,
			total_currency = CASE WHEN customer_order.placed_at = 0 THEN excluded.total_currency ELSE customer_order.total_currency END,
			lines = CASE WHEN customer_order.placed_at = 0 THEN excluded.lines ELSE customer_order.lines END,
			packed_at = CASE WHEN customer_order.packed_at = 0 THEN excluded.packed_at ELSE customer_order.packed_at END,
			carrier = CASE WHEN customer_order.dispatched_at = 0 THEN excluded.carrier ELSE customer_order.carrier END,
			tracking_number = CASE WHEN customer_order.dispatched_at = 0
				THEN excluded.tracking_number ELSE customer_order.tracking_number END,
			dispatched_at = CASE WHEN customer_order.dispatched_at = 0 THEN excluded.dispatched_at ELSE customer_order.dispatched_at END,
			cancelled_by = CASE WHEN customer_order.cancelled_at = 0 THEN excluded.cancelled_by ELSE customer_order.cancelled_by END,
			cancel_reason = CASE WHEN customer_order.cancelled_at = 0 THEN excluded.cancel_reason ELSE customer_order.cancel_reason END,
			cancelled_at = CASE WHEN customer_order.cancelled_at = 0 THEN excluded.cancelled_at ELSE customer_order.cancelled_at END,
			packing_delayed_at = CASE WHEN customer_order.packing_delayed_at = 0
				THEN excluded.packing_delayed_at ELSE customer_order.packing_delayed_at END,
			dispatch_delayed_at = CASE WHEN customer_order.dispatch_delayed_at = 0
				THEN excluded.dispatch_delayed_at ELSE customer_order.dispatch_delayed_at END,
			order_sequence = CASE WHEN excluded.order_sequence > customer_order.order_sequence
				THEN excluded.order_sequence ELSE customer_order.order_sequence END,
			written_at = excluded.written_at`,
		e.Subject, o.customerID, o.placedAt, o.total.Amount, o.total.Currency, o.lines,
		o.packedAt, o.dispatchedAt, o.carrier, o.trackingNumber, o.cancelledAt, o.cancelledBy, o.cancelReason,
		o.sequence, e.CorrelationID, now, o.packingDelayedAt, o.dispatchDelayedAt)
	s.write(tx, e, kind, o.customerID, now)
	return nil
}

// statusOf is what the facts about an order amount to. A physical fact wins: a
// parcel that left is dispatched, whatever was decided meanwhile.
func statusOf(packedAt, dispatchedAt, cancelledAt int64) string {
	switch {
	case dispatchedAt > 0:
		return "dispatched"
	case cancelledAt > 0:
		return "cancelled"
	case packedAt > 0:
		return "packed"
	default:
		return "placed"
	}
}
