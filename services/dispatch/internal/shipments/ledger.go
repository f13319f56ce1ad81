package shipments

import (
	"context"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Ledgers are what the shipments and the copies of customers are reconciled by.
func (s *Store) Ledgers() []service.Ledger {
	return []service.Ledger{
		{Kind: service.LedgerOrder, Read: s.ledger},
		{Kind: service.LedgerCustomer, Read: s.customerLedger},
	}
}

// ledger tells how far each shipment has come in packing's events. Shipments of
// orders that are not known to be packed have not begun.
func (s *Store) ledger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, s.db, `SELECT order_id, packing_sequence, customer_id, packed_at, dispatched_at, cancelled_at, changed_at
		FROM shipment WHERE packed_at > 0 AND `+q.Where("order_id")+` ORDER BY order_id LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var customer string
		var packedAt, dispatchedAt, cancelledAt, changedAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &customer, &packedAt, &dispatchedAt, &cancelledAt, &changedAt)
		shipment := Shipment{PackedAt: instant(packedAt), DispatchedAt: instant(dispatchedAt), CancelledAt: instant(cancelledAt)}
		r.Status, r.ChangedAt = string(shipment.Status()), instant(changedAt)
		r.Facts = service.Facts{}.Text(service.FactCustomer, customer).At(service.FactPackedAt, packedAt).
			At(service.FactDispatchedAt, dispatchedAt).At(service.FactCancelledAt, cancelledAt)
		return r, err
	})
}

// customerLedger tells how far each copy of a customer has come in that
// customer's events.
func (s *Store) customerLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, s.db, `SELECT customer_id, CASE WHEN name_sequence > address_sequence THEN name_sequence ELSE address_sequence END, changed_at
		FROM customer WHERE `+q.Where("customer_id")+` ORDER BY customer_id LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var changedAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &changedAt)
		r.ChangedAt = instant(changedAt)
		return r, err
	})
}
