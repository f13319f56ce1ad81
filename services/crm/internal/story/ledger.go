package story

import (
	"context"
	"encoding/json"
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
		{Kind: service.LedgerMail, Read: s.strayMails},
	}
}

func (s *Store) customerLedger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	rows, err := s.db.Query(ctx, `SELECT customer_id, last_sequence, registered_at, deactivated_at, forgotten_at,
			CASE WHEN name <> '' AND email <> '' AND address <> '' THEN 1 ELSE 0 END,
			CASE WHEN name <> '' OR email <> '' OR address <> '' OR deactivation_reason <> ''
				OR forgotten_at > 0 AND EXISTS (SELECT 1 FROM mail WHERE mail.customer_id = customer.customer_id AND recipient <> '')
				THEN 1 ELSE 0 END, written_at
		FROM customer WHERE `+q.Where("customer_id")+` ORDER BY customer_id LIMIT $2`, q.Subject, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("ledger of customers: %w", err)
	}
	ledger, err := sqldb.Collect(rows, func(row sqldb.Row) (r service.LedgerRow, err error) {
		var registeredAt, deactivatedAt, forgottenAt, all, some, writtenAt int64
		err = row.Scan(&r.Subject, &r.LastSequence, &registeredAt, &deactivatedAt, &forgottenAt, &all, &some, &writtenAt)
		r.ChangedAt = sqldb.Time(writtenAt)
		r.Facts = service.Facts{}.Text(service.FactPersonal, service.PersonalFact(some > 0, all > 0))
		switch {
		case forgottenAt > 0:
			r.Status = forgotten
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
				total_amount, total_currency, lines, packing_delayed_at, dispatch_delayed_at, written_at
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
	var customer, written string
	var placedAt, packedAt, dispatchedAt, cancelledAt, packingDelayedAt, dispatchDelayedAt, writtenAt int64
	var total letters.Money
	err = row.Scan(&r.Subject, &r.LastSequence, &customer, &placedAt, &packedAt, &dispatchedAt, &cancelledAt,
		&total.Amount, &total.Currency, &written, &packingDelayedAt, &dispatchDelayedAt, &writtenAt)
	if err != nil {
		return r, err
	}
	facts := service.Facts{}.Text(service.FactCustomer, customer).
		At(service.FactPlacedAt, placedAt).At(service.FactPackedAt, packedAt).
		At(service.FactDispatchedAt, dispatchedAt).At(service.FactCancelledAt, cancelledAt).
		At(service.FactPackingDelayedAt, packingDelayedAt).At(service.FactDispatchDelayedAt, dispatchDelayedAt).
		Text(service.FactNames, namesOf(written))
	if placedAt > 0 {
		facts[service.FactTotal] = service.MoneyFact(total.Amount, total.Currency)
	}
	r.Status, r.Facts, r.ChangedAt = statusOf(packedAt, dispatchedAt, cancelledAt), facts, sqldb.Time(writtenAt)
	return r, nil
}

// namesOf tells what was ordered. Lines that cannot be read are no reason to tell
// nothing of the others' rows.
func namesOf(written string) string {
	var lines []letters.Line
	if err := json.Unmarshal([]byte(written), &lines); err != nil {
		return "unreadable"
	}
	names := map[string]int64{}
	for _, line := range lines {
		names[line.Name] += line.Quantity
	}
	return service.LinesFact(names)
}

// strayMails tells of mails about orders that have no row.
func (s *Store) strayMails(ctx context.Context, q service.LedgerQuery) (ledger []service.LedgerRow, err error) {
	err = s.db.View(ctx, func(tx sqldb.Tx) error {
		ledger, err = q.Rows(ctx, tx, `SELECT DISTINCT order_id FROM mail WHERE `+q.Where("order_id")+`
			AND NOT EXISTS (SELECT 1 FROM customer_order WHERE customer_order.order_id = mail.order_id)
			ORDER BY order_id LIMIT $2`, func(row sqldb.Row) (service.LedgerRow, error) {
			r := service.LedgerRow{LastSequence: -1, Facts: service.Facts{}}
			return r, row.Scan(&r.Subject)
		})
		if err != nil {
			return err
		}
		return countMails(ctx, tx, ledger)
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of mails: %w", err)
	}
	return ledger, nil
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
