package fulfilment

import (
	"context"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Ledger is what the table of deadlines is reconciled by. An order whose deadline
// is not in there would be watched by nobody.
func (m *Manager) Ledger() service.Ledger {
	return service.Ledger{Kind: service.LedgerDeadline, Read: func(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
		return q.Rows(ctx, m.config.DB, `SELECT order_id, kind, due_at, written_at FROM fulfilment_deadline
			WHERE `+q.Where("order_id")+` ORDER BY order_id LIMIT $2`, func(row sqldb.Row) (service.LedgerRow, error) {
			r := service.LedgerRow{LastSequence: -1}
			var dueAt, writtenAt int64
			err := row.Scan(&r.Subject, &r.Status, &dueAt, &writtenAt)
			r.Facts, r.ChangedAt = service.Facts{}.At(service.FactDueAt, dueAt), sqldb.Time(writtenAt)
			return r, err
		})
	}}
}
