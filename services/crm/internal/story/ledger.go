package story

import (
	"context"
	"fmt"
	"strings"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/letters"
)

// Ledgers are what the stories of customers are reconciled by. For an order a
// row has come up to which of the order's own events: -1 when only other
// services' have arrived.
func (s *Store) Ledgers() []service.Ledger {
	return []service.Ledger{
		{Kind: service.LedgerCustomer, Read: s.customerLedger},
		{Kind: service.LedgerOrder, Read: s.orderLedger},
	}
}

func (s *Store) customerLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	rows, err := s.db.Query(ctx, `SELECT customer_id, last_sequence, registered_at, deactivated_at, written_at
		FROM customer WHERE `+q.Where("customer_id")+` ORDER BY customer_id LIMIT $2`, q.Subject, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("ledger of customers: %w", err)
	}
	ledger, err := sqldb.Collect(rows, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var registeredAt, deactivatedAt, writtenAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &registeredAt, &deactivatedAt, &writtenAt)
		r.ChangedAt = sqldb.Time(writtenAt)
		switch {
		case deactivatedAt > 0:
			r.Status = "deactivated"
		case registeredAt > 0:
			r.Status = "active"
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of customers: %w", err)
	}
	return ledger, nil
}

func (s *Store) orderLedger(ctx context.Context, q service.LedgerQuery) (ledger []service.LedgerRow, err error) {
	err = s.db.View(ctx, func(tx sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT order_id, order_sequence, customer_id, placed_at, packed_at, dispatched_at, cancelled_at,
				total_amount, total_currency, written_at
			FROM customer_order WHERE `+q.Where("order_id")+` ORDER BY order_id LIMIT $2`, q.Subject, q.Limit)
		if err != nil {
			return err
		}
		if ledger, err = sqldb.Collect(rows, scanLedger); err != nil {
			return err
		}
		return countMails(ctx, tx, ledger)
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of orders: %w", err)
	}
	return ledger, nil
}

func scanLedger(row sqldb.Row) (r service.LedgerRow, err error) {
	var customer string
	var placedAt, packedAt, dispatchedAt, cancelledAt, writtenAt int64
	var total letters.Money
	err = row.Scan(&r.Subject, &r.LastSequence, &customer, &placedAt, &packedAt, &dispatchedAt, &cancelledAt,
		&total.Amount, &total.Currency, &writtenAt)
	if err != nil {
		return r, err
	}
	facts := service.Facts{}.Text(service.FactCustomer, customer).
		At(service.FactPlacedAt, placedAt).At(service.FactPackedAt, packedAt).
		At(service.FactDispatchedAt, dispatchedAt).At(service.FactCancelledAt, cancelledAt)
	if placedAt > 0 {
		facts[service.FactTotal] = service.MoneyFact(total.Amount, total.Currency)
	}
	r.Status, r.Facts, r.ChangedAt = statusOf(packedAt, dispatchedAt, cancelledAt), facts, sqldb.Time(writtenAt)
	return r, nil
}

// countMails adds to the rows of orders how many mails of each kind there are.
func countMails(ctx context.Context, tx sqldb.Tx, ledger []service.LedgerRow) error {
	if len(ledger) == 0 {
		return nil
	}
	orders := make([]any, len(ledger))
	for i, r := range ledger {
		orders[i] = r.Subject
	}
	rows, err := tx.Query(ctx, `SELECT order_id, kind, count(*) FROM mail WHERE order_id IN `+sqldb.List(1, len(orders))+`
		GROUP BY order_id, kind ORDER BY order_id, kind`, orders...)
	if err != nil {
		return err
	}
	counted := map[string][]string{}
	_, err = sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
		var order, kind string
		var mails int64
		err := row.Scan(&order, &kind, &mails)
		counted[order] = append(counted[order], fmt.Sprintf("%s %d", kind, mails))
		return struct{}{}, err
	})
	for _, r := range ledger {
		if mails := counted[r.Subject]; len(mails) > 0 {
			r.Facts[service.FactMails] = strings.Join(mails, ", ")
		}
	}
	return err
}
