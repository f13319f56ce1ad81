package figures

import (
	"context"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Ledgers are what the rows behind the figures are reconciled by. For an order a
// row has come up to which of the order's own events: -1 when only other
// services' have arrived.
func (s *Store) Ledgers() []service.Ledger {
	return []service.Ledger{
		{Kind: service.LedgerOrder, Read: s.ledger},
		{Kind: service.LedgerCustomer, Read: s.customerLedger},
		{Kind: service.LedgerProduct, Read: s.priceLedger},
	}
}

func (s *Store) ledger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, s.db, `SELECT order_id, order_sequence, placed_at, packed_at, dispatched_at, cancelled_at, amount, currency,
			packing_delayed_at, dispatch_delayed_at, returned_at, written_at
		FROM order_fact WHERE `+q.Where("order_id")+` ORDER BY order_id LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var o order
		var writtenAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &o.placedAt, &o.packedAt, &o.dispatchedAt, &o.cancelledAt, &o.amount, &o.currency,
			&o.packingDelayedAt, &o.dispatchDelayedAt, &o.returnedAt, &writtenAt)
		r.ChangedAt = sqldb.Time(writtenAt)
		facts := service.Facts{}.At(service.FactPlacedAt, o.placedAt).At(service.FactPackedAt, o.packedAt).
			At(service.FactDispatchedAt, o.dispatchedAt).At(service.FactCancelledAt, o.cancelledAt).
			At(service.FactPackingDelayedAt, o.packingDelayedAt).At(service.FactDispatchDelayedAt, o.dispatchDelayedAt).
			At(service.FactReturnedAt, o.returnedAt)
		if o.placedAt > 0 { // before that it is not counted
			r.Status = string(o.status())
			facts[service.FactTotal] = service.MoneyFact(o.amount, o.currency)
		}
		r.Facts = facts
		return r, err
	})
}

func (s *Store) customerLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, s.db, `SELECT customer_id, last_sequence, created_at, deactivated_at
		FROM customer WHERE `+q.Where("customer_id")+` ORDER BY customer_id LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var createdAt, deactivatedAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &createdAt, &deactivatedAt)
		switch {
		case deactivatedAt > 0:
			r.Status = "deactivated"
		case createdAt > 0:
			r.Status = "active"
		}
		return r, err
	})
}

func (s *Store) priceLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, s.db, `SELECT sku, last_sequence, amount, currency, changed_at
		FROM price WHERE `+q.Where("sku")+` ORDER BY sku LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var amount, changedAt int64
		var currency string
		err = row.Scan(&r.Subject, &r.LastSequence, &amount, &currency, &changedAt)
		r.Facts, r.ChangedAt = service.Facts{}.Text(service.FactPrice, service.MoneyFact(amount, currency)), sqldb.Time(changedAt)
		return r, err
	})
}
