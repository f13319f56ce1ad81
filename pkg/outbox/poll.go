package outbox

import (
	"context"
	"fmt"
	"math"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// pending is a row that waits to be published.
type pending struct {
	seq   int64
	event eventbus.Event
}

const (
	eventColumns = `id, source, type, subject, time, content_type, data, correlation_id, causation_id, trace_parent, sequence`
	unsent       = `sent_at IS NULL AND parked_at IS NULL`
)

// poll reads the table until ctx ends, or until is closed, which is no error.
func (o *Outbox) poll(ctx context.Context, p *pipe, until <-chan struct{}) error {
	for {
		n, err := o.pollOnce(ctx, p, math.MaxInt64)
		if err != nil {
			return err
		}
		wait := o.options.Poll
		if n == o.options.Window {
			wait = 0 // there is more
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-o.wake:
		case <-until:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// pollOnce puts the oldest rows up to a number into the pipe, and returns how
// many it found.
func (o *Outbox) pollOnce(ctx context.Context, p *pipe, last int64) (n int, err error) {
	var rows []pending
	err = o.insist(ctx, reading, func() error {
		rows, err = o.oldest(ctx, p, last)
		return err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return len(rows), p.put(ctx, batch{rows: rows})
}

// oldest reads what is to be published and not in the pipe yet. It always looks
// from the lowest number on: one that is lower than all that were read can turn
// up at any time, and what was committed after it must not leave before it.
func (o *Outbox) oldest(ctx context.Context, p *pipe, last int64) ([]pending, error) {
	in, list := o.dialect.in(3, p.inside())
	return o.rows(ctx, `WHERE `+unsent+` AND seq <= $1 AND NOT seq `+in+` ORDER BY seq LIMIT $2`,
		append([]any{last, o.options.Window}, list...)...)
}

func (o *Outbox) rows(ctx context.Context, where string, args ...any) (found []pending, err error) {
	err = o.ask(ctx, func(ctx context.Context) error {
		rows, err := o.db.Query(ctx, `SELECT seq, `+eventColumns+` FROM outbox `+where, args...)
		if err != nil {
			return err
		}
		found, err = sqldb.Collect(rows, scanPending)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return found, nil
}

func scanPending(row sqldb.Row) (pending, error) {
	var p pending
	var at int64
	e := &p.event
	err := row.Scan(&p.seq, &e.ID, &e.Source, &e.Type, &e.Subject, &at, &e.DataContentType, &e.Data,
		&e.CorrelationID, &e.CausationID, &e.TraceParent, &e.Sequence)
	e.Time = sqldb.Time(at)
	return p, err
}
