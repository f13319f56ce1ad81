package copies

import (
	"context"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Ledgers are what the copies are reconciled by.
func (c *Copies) Ledgers() []service.Ledger {
	return []service.Ledger{
		{Kind: service.LedgerCustomer, Read: c.customerLedger},
		{Kind: service.LedgerProduct, Read: c.productLedger},
	}
}

// customerLedger knows no sequences: copies of customers do not keep which event
// they are from.
func (c *Copies) customerLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, c.db, `SELECT customer_id, created, deactivated, forgotten FROM customer_copy
		WHERE `+q.Where("customer_id")+` ORDER BY customer_id LIMIT $2`, func(row sqldb.Row) (service.LedgerRow, error) {
		r := service.LedgerRow{LastSequence: -1}
		var created, deactivated, forgotten int64
		err := row.Scan(&r.Subject, &created, &deactivated, &forgotten)
		switch {
		case forgotten == 1:
			r.Status = "forgotten"
		case deactivated == 1:
			r.Status = "deactivated"
		case created == 1:
			r.Status = "active"
		}
		return r, err
	})
}

func (c *Copies) productLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	return q.Rows(ctx, c.db, `SELECT sku, COALESCE(name, ''), price_sequence, price_amount, price_currency FROM product_copy
		WHERE `+q.Where("sku")+` ORDER BY sku LIMIT $2`, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var amount int64
		var name, currency string
		err = row.Scan(&r.Subject, &name, &r.LastSequence, &amount, &currency)
		r.Facts = service.Facts{}.Text(service.FactName, name).Text(service.FactPrice, service.MoneyFact(amount, currency))
		return r, err
	})
}
