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
// orders that are not known to be packed have not begun. The status is the one
// that lists are selected by.
func (s *Store) ledger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, s.db, `SELECT order_id, packing_sequence, customer_id, packed_at, dispatched_at, cancelled_at, status, changed_at
		FROM shipment WHERE packed_at > 0 AND `+q.Where("order_id")+` ORDER BY order_id LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var customer string
		var packedAt, dispatchedAt, cancelledAt, changedAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &customer, &packedAt, &dispatchedAt, &cancelledAt, &r.Status, &changedAt)
		r.ChangedAt = instant(changedAt)
		r.Facts = service.Facts{}.Text(service.FactCustomer, customer).At(service.FactPackedAt, packedAt).
			At(service.FactDispatchedAt, dispatchedAt).At(service.FactCancelledAt, cancelledAt)
		return r, err
	})
}

// customerLedger tells how far each copy of a customer has come in that
// customer's events, and whether there is personal data: in the copy, or, of one
// who is forgotten, on a shipment that left.
func (s *Store) customerLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, s.db, `SELECT customer_id, CASE WHEN name_sequence > address_sequence THEN name_sequence ELSE address_sequence END,
			CASE WHEN name <> '' THEN 1 ELSE 0 END, CASE WHEN address NOT IN ('', '{}') THEN 1 ELSE 0 END, forgotten_at,
			CASE WHEN forgotten_at > 0 AND EXISTS (SELECT 1 FROM shipment WHERE shipment.customer_id = customer.customer_id
				AND (recipient <> '' OR address NOT IN ('', '{}') AND address NOT LIKE '{"line1":"",%')) THEN 1 ELSE 0 END,
			changed_at
		FROM customer WHERE `+q.Where("customer_id")+` ORDER BY customer_id LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var named, addressed, shipped, forgottenAt, changedAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &named, &addressed, &forgottenAt, &shipped, &changedAt)
		r.Status, r.ChangedAt = "known", instant(changedAt)
		if forgottenAt > 0 {
			r.Status = "forgotten"
		}
		r.Facts = service.Facts{}.Text(service.FactPersonal, service.PersonalFact(named+addressed+shipped > 0, named+addressed == 2))
		return r, err
	})
}
