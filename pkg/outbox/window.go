package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// pending is a row that waits to be published.
type pending struct {
	seq   int64
	event eventbus.Event
}

const eventColumns = `id, source, type, subject, time, content_type, data, correlation_id, causation_id, trace_parent, sequence`

// window publishes the oldest rows, and returns how many it found.
func (o *Outbox) window(ctx context.Context, epoch int64) (int, error) {
	rows, err := o.db.Query(ctx, `SELECT seq, `+eventColumns+` FROM outbox
		WHERE sent_at IS NULL AND parked_at IS NULL ORDER BY seq LIMIT $1`, o.options.Window)
	if err != nil {
		return 0, fmt.Errorf("read the outbox: %w", err)
	}
	found, err := sqldb.Collect(rows, scanPending)
	if err != nil {
		return 0, fmt.Errorf("read the outbox: %w", err)
	}
	if len(found) == 0 {
		return 0, nil
	}
	return len(found), o.publish(ctx, epoch, found)
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

// publish sends the rows and marks them. When the bus refuses them for what
// they are, it halves them until the guilty one is alone, and parks that.
func (o *Outbox) publish(ctx context.Context, epoch int64, rows []pending) error {
	err := o.send(ctx, rows)
	switch {
	case err == nil:
		return o.mark(ctx, epoch, rows)
	case !refused(err):
		return fmt.Errorf("publish %d events from the outbox: %w", len(rows), err)
	case len(rows) == 1:
		return o.park(ctx, epoch, rows[0], err)
	}
	half := len(rows) / 2
	if err := o.publish(ctx, epoch, rows[:half]); err != nil {
		return err
	}
	return o.publish(ctx, epoch, rows[half:])
}

// refused tells an event that will never be taken from a bus that takes none.
func refused(err error) bool {
	return errors.Is(err, eventbus.ErrInvalidEvent) || errors.Is(err, eventbus.ErrUnroutable)
}

func (o *Outbox) send(ctx context.Context, rows []pending) error {
	events := make([]eventbus.Event, len(rows))
	for i, row := range rows {
		events[i] = row.event
	}
	ctx, cancel := context.WithTimeout(ctx, o.options.PublishTimeout)
	defer cancel()
	o.setAsked(time.Now())
	defer o.setAsked(time.Time{})
	return o.bus.Publish(ctx, events...)
}

func (o *Outbox) setAsked(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = at
}

// mark notes that the bus has the rows. If this does not commit they are
// published again, under the same ids.
func (o *Outbox) mark(ctx context.Context, epoch int64, rows []pending) error {
	err := o.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, leaseName, epoch); err != nil {
			return err
		}
		args := []any{sqldb.Micros(time.Now())}
		for _, row := range rows {
			args = append(args, row.seq)
		}
		_, err := tx.Exec(ctx, `UPDATE outbox SET sent_at = $1 WHERE seq IN `+sqldb.List(2, len(rows)), args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark %d events as sent: %w", len(rows), err)
	}
	o.sent.Add(int64(len(rows)))
	return nil
}

func (o *Outbox) park(ctx context.Context, epoch int64, row pending, reason error) error {
	err := o.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, leaseName, epoch); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE outbox SET parked_at = $1, reason = $2 WHERE seq = $3`,
			sqldb.Micros(time.Now()), sqldb.Text(reason.Error()), row.seq)
		return err
	})
	if err != nil {
		return fmt.Errorf("park %s: %w", row.event.ID, err)
	}
	o.parked.Add(1)
	o.log.ErrorContext(ctx, "outbox parked an event that the bus refuses",
		"id", row.event.ID, "type", row.event.Type, "subject", row.event.Subject, "error", reason)
	return nil
}
