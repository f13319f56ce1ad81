package jobs

import (
	"context"
	"fmt"
	"math"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Get returns the job of an order, or [ErrUnknown].
func (s *Store) Get(ctx context.Context, orderID string) (Job, error) {
	job, err := load(ctx, s.db, orderID)
	if err == nil && job.Status() == StatusUnknown {
		err = fmt.Errorf("job %s: %w", orderID, ErrUnknown)
	}
	return job, err
}

// place is where a job stands in the list. Ids break ties between orders placed
// in the same microsecond.
type place struct {
	placedAt int64
	orderID  string
}

// top is the place above the newest job.
func top() place { return place{placedAt: math.MaxInt64} }

// list returns up to limit jobs below a place, newest orders first; an empty
// status means any.
func (s *Store) list(ctx context.Context, status Status, below place, limit int) ([]Job, error) {
	where, args := `placed_at > 0`, []any{below.placedAt, below.orderID, limit}
	if status != StatusUnknown {
		where, args = `status = $4`, append(args, string(status))
	}
	rows, err := s.db.Query(ctx, `SELECT `+columns+` FROM job WHERE `+where+`
		AND (placed_at, order_id) < ($1, $2) ORDER BY placed_at DESC, order_id DESC LIMIT $3`, args...)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	jobs, err := sqldb.Collect(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return jobs, nil
}

// Ledger is what the table of jobs is reconciled by.
func (s *Store) Ledger() service.Ledger {
	return service.Ledger{Kind: service.LedgerOrder, Read: s.ledger}
}

// ledger tells up to which of the order's events each job has come, by order.
// Rows of orders that have not arrived are among them. The status is the one that
// the worklist is selected by.
func (s *Store) ledger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	rows, err := s.db.Query(ctx,
		`SELECT `+columns+`, status FROM job WHERE `+q.Where("order_id")+` ORDER BY order_id LIMIT $2`, q.Subject, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("ledger of jobs: %w", err)
	}
	ledger, err := sqldb.Collect(rows, func(row sqldb.Row) (service.LedgerRow, error) {
		var status string
		job, err := scanWith(row, &status)
		r := ledgerRow(job)
		r.Status = status
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of jobs: %w", err)
	}
	return ledger, nil
}

func ledgerRow(j Job) service.LedgerRow {
	lines, names := map[string]int64{}, map[string]int64{}
	for _, line := range j.Lines {
		lines[line.SKU] += line.Quantity
		names[line.Name] += line.Quantity
	}
	return service.LedgerRow{
		Subject: j.OrderID, LastSequence: j.OrderSequence, ChangedAt: j.ChangedAt,
		Facts: service.Facts{}.
			Text(service.FactCustomer, j.CustomerID).
			Text(service.FactLines, service.LinesFact(lines)).Text(service.FactNames, service.LinesFact(names)).
			At(service.FactPlacedAt, micros(j.PlacedAt)).At(service.FactPackedAt, micros(j.PackedAt)).
			At(service.FactCancelledAt, micros(j.CancelledAt)).At(service.FactReturnedAt, micros(j.ReturnedAt)).
			At(service.FactDispatchedAt, micros(j.DispatchedAt)),
	}
}

// Trace tells what the row of an order's job says now, and since when.
func (s *Store) Trace(ctx context.Context, orderID string) ([]service.TraceItem, error) {
	job, err := load(ctx, s.db, orderID)
	if err != nil || job.Version < 0 {
		return nil, err
	}
	detail := string(job.Status())
	if job.Status() == StatusUnknown {
		detail = "not known to be placed yet"
	}
	return []service.TraceItem{{
		At: job.ChangedAt, Kind: "wrote", ID: orderID, Type: "job", Sequence: &job.Version,
		CorrelationID: job.CorrelationID, Detail: detail,
	}}, nil
}
