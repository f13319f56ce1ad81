package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Pauses before an order that was put aside is tried again: each twice the one
// before, up to the longest.
const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

// putAside queues the statement that notes an order which could not be handled.
// A newer failure counts as the first.
func putAside(tx sqldb.Tx, f failure, now int64) {
	tx.Queue(`INSERT INTO fulfilment_aside (order_id, position, reason, attempts, since, try_at) VALUES ($1, $2, $3, 1, $4, $5)
		ON CONFLICT (order_id) DO UPDATE SET position = excluded.position, reason = excluded.reason, attempts = 1, try_at = excluded.try_at
		WHERE fulfilment_aside.position < excluded.position`,
		f.id.String(), int64(f.position), sqldb.Text(f.err.Error()), now, now+firstPause.Microseconds()) //nolint:gosec // below 2^63
}

// aside is an order that was put aside.
type aside struct {
	orderID            uuid.UUID
	position, attempts int64
}

// retryAside tries the orders again whose time has come.
func (m *Manager) retryAside(ctx context.Context, epoch int64, now time.Time) error {
	rows, err := m.config.DB.Query(ctx, `SELECT order_id, position, attempts FROM fulfilment_aside
		WHERE try_at <= $1 ORDER BY try_at, order_id LIMIT $2`, sqldb.Micros(now), mostDue)
	if err != nil {
		return fmt.Errorf("orders put aside: %w", err)
	}
	found, err := sqldb.Collect(rows, func(r sqldb.Row) (a aside, err error) {
		var id string
		if err := r.Scan(&id, &a.position, &a.attempts); err != nil {
			return a, err
		}
		a.orderID, err = uuid.Parse(id)
		return a, err
	})
	if err != nil {
		return fmt.Errorf("orders put aside: %w", err)
	}
	for _, a := range found {
		failed := m.redo(ctx, a.orderID)
		if isTemporary(ctx, failed) {
			return fmt.Errorf("order %s, put aside: %w", a.orderID, failed)
		}
		if err := m.settleAside(ctx, epoch, a, failed, now); err != nil {
			return err
		}
	}
	return nil
}

// settleAside removes the note of an order that could be handled, unless it has
// failed anew meanwhile, and otherwise says when it is tried next.
func (m *Manager) settleAside(ctx context.Context, epoch int64, a aside, failed error, now time.Time) error {
	return m.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, name, epoch); err != nil {
			return err
		}
		if failed == nil {
			tx.Queue(`DELETE FROM fulfilment_aside WHERE order_id = $1 AND position = $2`, a.orderID.String(), a.position)
			return nil
		}
		pause := min(firstPause<<min(a.attempts, 10), longestPause)
		tx.Queue(`UPDATE fulfilment_aside SET attempts = attempts + 1, reason = $3, try_at = $4 WHERE order_id = $1 AND position = $2`,
			a.orderID.String(), a.position, sqldb.Text(failed.Error()), sqldb.Micros(now.Add(pause)))
		return nil
	})
}

// redo handles everything that an order's streams say once more: what was
// carried out before changes nothing.
func (m *Manager) redo(ctx context.Context, id uuid.UUID) error {
	if err := m.catchUp(ctx, id); err != nil {
		return err
	}
	steps, err := m.config.Store.ReadStream(ctx, es.StreamName(Category, id), 0)
	if err != nil {
		return err
	}
	for _, r := range steps {
		events, err := Codec{}.Decode(ctx, r)
		if err != nil {
			return fmt.Errorf("event %d of %s: %w", r.Revision, r.Stream, err)
		}
		for _, event := range events {
			if err := m.carryOut(ctx, r, event); err != nil {
				return err
			}
		}
	}
	return nil
}

// Aside counts the orders that could not be handled.
func (m *Manager) Aside(ctx context.Context) (int, error) {
	var n int
	err := m.config.DB.QueryRow(ctx, `SELECT count(*) FROM fulfilment_aside`).Scan(&n)
	return n, err
}

// Trace tells of an order's deadline, and why it was put aside if it was.
func (m *Manager) Trace(ctx context.Context, orderID string) ([]service.TraceItem, error) {
	var items []service.TraceItem
	var kind, correlationID, reason string
	var at, written int64
	err := m.config.DB.QueryRow(ctx, `SELECT kind, due_at, correlation_id, written_at FROM fulfilment_deadline WHERE order_id = $1`, orderID).
		Scan(&kind, &at, &correlationID, &written)
	switch {
	case err == nil:
		items = append(items, service.TraceItem{
			At: sqldb.Time(written), Kind: "wrote", ID: orderID, Type: "fulfilment_deadline", CorrelationID: correlationID,
			Detail: kind + " at " + sqldb.Time(at).Format(time.RFC3339),
		})
	case !errors.Is(err, sqldb.ErrNoRows):
		return nil, fmt.Errorf("deadline of order %s: %w", orderID, err)
	}
	err = m.config.DB.QueryRow(ctx, `SELECT reason, since FROM fulfilment_aside WHERE order_id = $1`, orderID).Scan(&reason, &at)
	switch {
	case err == nil:
		items = append(items, service.TraceItem{At: sqldb.Time(at), Kind: "held", ID: orderID, Type: name, Detail: reason})
	case !errors.Is(err, sqldb.ErrNoRows):
		return nil, fmt.Errorf("order %s, put aside: %w", orderID, err)
	}
	return items, nil
}
