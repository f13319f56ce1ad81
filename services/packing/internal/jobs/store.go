package jobs

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the migrations of the table of jobs, for service.Migrate.
func Migrations() fs.FS { return migrations }

// Store keeps the jobs. Safe for concurrent use, also by several processes.
type Store struct {
	db  sqldb.DB
	out *outbox.Outbox
}

// New returns the store of the jobs in db, which announces what people did
// through out, an outbox in the same database.
func New(db sqldb.DB, out *outbox.Outbox) *Store { return &Store{db: db, out: out} }

// change lets decide turn the job of an order into what it becomes, and writes
// that if its version was counted up. decide may be called again: when another
// transaction was faster, the decision is taken anew on what that one left. It
// must therefore be pure. Every round that is lost was won by somebody else, and
// the end of ctx ends it.
func change(ctx context.Context, tx sqldb.Tx, orderID string, decide func(Job) (Job, error)) (before, after Job, err error) {
	for {
		if before, err = load(ctx, tx, orderID); err != nil {
			return before, before, err
		}
		if after, err = decide(before); err != nil || after.Version == before.Version {
			return before, before, err
		}
		written, err := save(ctx, tx, after)
		if err != nil || written {
			return before, after, err
		}
	}
}

const columns = `order_id, version, customer_id, lines, placed_at, correlation_id,
	cancelled_at, packed_at, packed_by, rejected_at, reason, order_sequence, changed_at,
	returned_at, dispatched_at`

// load returns the job of an order, or an unseen one.
func load(ctx context.Context, q sqldb.Querier, orderID string) (Job, error) {
	job, err := scan(q.QueryRow(ctx, `SELECT `+columns+` FROM job WHERE order_id = $1`, orderID))
	if errors.Is(err, sqldb.ErrNoRows) {
		return unseen(orderID), nil
	}
	if err != nil {
		return Job{}, fmt.Errorf("load job %s: %w", orderID, err)
	}
	return job, nil
}

// save writes the job over the version before it, and reports false when that
// is no longer there. The status is written down for the index; it is never
// read back.
func save(ctx context.Context, tx sqldb.Tx, j Job) (bool, error) {
	lines, err := json.Marshal(j.Lines)
	if err != nil {
		return false, fmt.Errorf("encode lines of %s: %w", j.OrderID, err)
	}
	statement := `INSERT INTO job (` + columns + `, status)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (order_id) DO NOTHING`
	if j.Version > 0 {
		statement = `UPDATE job SET version = $2, customer_id = $3, lines = $4, placed_at = $5, correlation_id = $6,
			cancelled_at = $7, packed_at = $8, packed_by = $9, rejected_at = $10, reason = $11, order_sequence = $12,
			changed_at = $13, returned_at = $14, dispatched_at = $15, status = $16 WHERE order_id = $1 AND version = $2 - 1`
	}
	n, err := tx.Exec(ctx, statement, j.OrderID, j.Version, j.CustomerID, string(lines), micros(j.PlacedAt), j.CorrelationID,
		micros(j.CancelledAt), micros(j.PackedAt), j.PackedBy, micros(j.RejectedAt), j.Reason, j.OrderSequence,
		micros(time.Now()), micros(j.ReturnedAt), micros(j.DispatchedAt), string(j.Status()))
	if err != nil {
		return false, fmt.Errorf("save job %s: %w", j.OrderID, err)
	}
	return n == 1, nil
}

func scan(row sqldb.Row) (Job, error) { return scanWith(row) }

// scanWith reads a job, and into more what is selected behind its columns.
func scanWith(row sqldb.Row, more ...any) (Job, error) {
	var j Job
	var lines string
	var placedAt, cancelledAt, packedAt, rejectedAt, changedAt, returnedAt, dispatchedAt int64
	into := append([]any{
		&j.OrderID, &j.Version, &j.CustomerID, &lines, &placedAt, &j.CorrelationID,
		&cancelledAt, &packedAt, &j.PackedBy, &rejectedAt, &j.Reason, &j.OrderSequence, &changedAt,
		&returnedAt, &dispatchedAt,
	}, more...)
	if err := row.Scan(into...); err != nil {
		return j, err
	}
	j.PlacedAt, j.CancelledAt, j.ChangedAt = instant(placedAt), instant(cancelledAt), instant(changedAt)
	j.PackedAt, j.RejectedAt = instant(packedAt), instant(rejectedAt)
	j.ReturnedAt, j.DispatchedAt = instant(returnedAt), instant(dispatchedAt)
	if err := json.Unmarshal([]byte(lines), &j.Lines); err != nil {
		return j, fmt.Errorf("lines of job %s: %w", j.OrderID, err)
	}
	return j, nil
}

// micros and instant store a time that may not have come: as 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return sqldb.Micros(t)
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return sqldb.Time(micros)
}
