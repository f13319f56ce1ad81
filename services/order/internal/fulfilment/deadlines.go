package fulfilment

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
)

const (
	// lookEvery is how often the table of deadlines is looked at.
	lookEvery = 500 * time.Millisecond
	// patience is how long the bus may take to say what waits there.
	patience = 2 * time.Second
	// mostDue is how many deadlines are dealt with at a look.
	mostDue = 200
	// again is when a deadline that was dealt with is looked at again: its row
	// goes when the log has brought what became of it.
	again = 30 * time.Second
)

// due is a row of the table whose time has come.
type due struct {
	orderID uuid.UUID
	row
}

// keepTime looks after deadlines, what was put aside, and what is to be written,
// until ctx ends or something does not work.
func (m *Manager) keepTime(ctx context.Context, epoch int64) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	listening := m.config.Now() // since when everything told is heard
	for {
		if err := m.write(ctx, epoch); err != nil {
			return err
		}
		now := m.config.Now()
		listens := m.listens(ctx)
		if !listens {
			listening = now
		}
		if listens && now.Sub(listening) >= m.config.DeadlinesRest {
			if err := m.passDeadlines(ctx, epoch, now); err != nil {
				return err
			}
		}
		if err := m.retryAside(ctx, epoch, now); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listens reports whether this service hears what the others say.
func (m *Manager) listens(ctx context.Context) bool {
	if m.config.Waiting == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	waiting, err := m.config.Waiting(ctx)
	return err == nil && waiting <= MostWaiting
}

// passDeadlines tells processes of their deadlines that have passed by now.
func (m *Manager) passDeadlines(ctx context.Context, epoch int64, now time.Time) error {
	found, err := m.due(ctx, now)
	if err != nil || len(found) == 0 {
		return err
	}
	var done batch
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, d := range found {
		group.Go(func() error {
			err := m.pass(working, d, now)
			if isTemporary(working, err) {
				return fmt.Errorf("deadline of order %s: %w", d.orderID, err)
			}
			if err != nil {
				done.fail(failure{id: d.orderID, err: err})
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return m.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, name, epoch); err != nil {
			return err
		}
		for _, d := range found {
			tx.Queue(`UPDATE fulfilment_deadline SET try_at = $4 WHERE order_id = $1 AND kind = $2 AND due_at = $3`,
				d.orderID.String(), string(d.deadline.Kind), sqldb.Micros(d.deadline.DueAt), sqldb.Micros(now.Add(again)))
		}
		for _, f := range done.failed {
			putAside(tx, f, sqldb.Micros(now))
		}
		return nil
	})
}

// pass tells a process that its deadline has passed, if it is still its own when
// all that is known of the order has been heard.
func (m *Manager) pass(ctx context.Context, d due, now time.Time) error {
	if m.config.Unheard != nil {
		unheard, err := m.config.Unheard(ctx, d.orderID.String())
		if err != nil || unheard {
			return err
		}
	}
	if err := m.catchUp(ctx, d.orderID); err != nil {
		return err
	}
	kind, at := string(d.deadline.Kind), strconv.FormatInt(sqldb.Micros(d.deadline.DueAt), 10)
	c := cause.Cause{
		ID:            cause.Derive(d.orderID, kind+" "+at),
		CorrelationID: d.correlationID, TraceParent: d.traceParent, At: now,
	}
	return m.step(ctx, d.orderID, c, Heard{
		Trigger: d.deadline.Kind, DueAt: d.deadline.DueAt, At: now.UTC().Truncate(time.Microsecond),
	})
}

// catchUp makes the process of an order hear all that the order's stream says
// now, wherever the log is being read.
func (m *Manager) catchUp(ctx context.Context, id uuid.UUID) error {
	events, err := m.config.Store.ReadStream(ctx, es.StreamName("order", id), 0)
	if err != nil {
		return err
	}
	for _, r := range events {
		if err := m.hear(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// due reads the deadlines that have passed, longest passed first.
func (m *Manager) due(ctx context.Context, now time.Time) ([]due, error) {
	rows, err := m.config.DB.Query(ctx, `SELECT order_id, kind, due_at, correlation_id, traceparent FROM fulfilment_deadline
		WHERE try_at <= $1 ORDER BY try_at, order_id LIMIT $2`, sqldb.Micros(now), mostDue)
	if err != nil {
		return nil, fmt.Errorf("deadlines: %w", err)
	}
	found, err := sqldb.Collect(rows, func(r sqldb.Row) (due, error) {
		var d due
		var id string
		var at int64
		if err := r.Scan(&id, &d.deadline.Kind, &at, &d.correlationID, &d.traceParent); err != nil {
			return d, err
		}
		d.deadline.DueAt = sqldb.Time(at)
		var err error
		d.orderID, err = uuid.Parse(id)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("deadlines: %w", err)
	}
	return found, nil
}

// Overdue counts the deadlines that have passed and have not been dealt with.
func (m *Manager) Overdue(ctx context.Context) (int, error) {
	now := m.config.Now()
	var n int
	err := m.config.DB.QueryRow(ctx, `SELECT count(*) FROM fulfilment_deadline WHERE try_at <= $2 AND due_at <= $1`,
		sqldb.Micros(now), sqldb.Micros(now.Add(again))).Scan(&n) // by the index: try_at is due_at, or up to so much later than now
	return n, err
}
