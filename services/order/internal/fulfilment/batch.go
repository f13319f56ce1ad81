package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
)

// atOnce is how many orders are worked on at a time. Each waits for the event
// store, which takes what arrives together in one write.
const atOnce = 32

// mostUnwritten is how many rows are gathered before they are written.
const mostUnwritten = 500

// batch is what a piece of the log leads to in the database.
type batch struct {
	mu       sync.Mutex
	rows     map[uuid.UUID]row // of processes that stepped, after their last step
	failed   []failure
	position es.Position // up to which the log is carried out; 0: nothing is to be written
}

// row is a process in the table of deadlines.
type row struct {
	deadline                   Deadline // zero: it has none, and no row
	correlationID, traceParent string
}

// failure is an order that could not be handled.
type failure struct {
	id       uuid.UUID
	position es.Position
	err      error
}

// take handles a piece of the log. Orders are handled side by side, the events of
// each in order. What it leads to in the database can wait for that of the next
// pieces: whatever is not written when the manager dies is read again.
func (m *Manager) take(ctx context.Context, epoch int64, log es.Batch) error {
	if len(log.Events) == 0 {
		return nil
	}
	done := batch{rows: map[uuid.UUID]row{}, position: log.Position}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, events := range byOrder(log.Events) {
		group.Go(func() error { return m.takeOrder(working, events, &done) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("fulfilment up to %d: %w", log.Position, err)
	}
	for _, f := range done.failed {
		m.config.Log.ErrorContext(ctx, "order put aside by fulfilment", "order", f.id, "error", f.err)
	}
	if m.unwritten.add(&done) < mostUnwritten {
		return nil // for the next look at the clock
	}
	return m.write(ctx, epoch)
}

// byOrder divides events by order, each order's in order.
func byOrder(events []es.Recorded) map[uuid.UUID][]es.Recorded {
	orders := map[uuid.UUID][]es.Recorded{}
	for _, r := range events {
		if id := r.AggregateID(); id != uuid.Nil { // otherwise the stream is no order's
			orders[id] = append(orders[id], r)
		}
	}
	return orders
}

// takeOrder handles what a piece of the log says of one order. Its error is that
// something does not work at the moment; what is the order's own fault is noted,
// and does not keep later events from being heard.
func (m *Manager) takeOrder(ctx context.Context, events []es.Recorded, done *batch) error {
	for _, r := range events {
		err := m.takeEvent(ctx, r, done)
		if isTemporary(ctx, err) {
			return err
		}
		if err != nil {
			done.fail(failure{r.AggregateID(), r.Position, err})
		}
	}
	return nil
}

func (m *Manager) takeEvent(ctx context.Context, r es.Recorded, done *batch) error {
	if !isProcess(r) {
		return m.hear(ctx, r)
	}
	events, err := Codec{}.Decode(ctx, r)
	if err != nil {
		return fmt.Errorf("event %d of %s: %w", r.Revision, r.Stream, err)
	}
	for _, event := range events {
		done.note(r.AggregateID(), row{event.Deadline, r.Metadata.CorrelationID, r.Metadata.TraceParent})
		if err := m.carryOut(ctx, r, event); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) note(id uuid.UUID, r row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows[id] = r
}

func (b *batch) fail(f failure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = append(b.failed, f)
}

// add takes in a later batch, and returns how many rows there are now.
func (b *batch) add(later *batch) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.rows, later.rows)
	b.failed = append(b.failed, later.failed...)
	b.position = later.position
	return len(b.rows) + len(b.failed)
}

// empty forgets everything.
func (b *batch) empty() {
	b.rows, b.failed, b.position = map[uuid.UUID]row{}, nil, 0
}

// isTemporary tells what passes by itself from what is an order's own fault.
func isTemporary(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, es.ErrUnavailable) || sqldb.IsUnavailable(err))
}

// write replaces the rows of deadlines, puts aside what failed, and moves the
// checkpoint, all or nothing, and only while this manager is the active one.
func (m *Manager) write(ctx context.Context, epoch int64) error {
	done := &m.unwritten
	done.mu.Lock()
	defer done.mu.Unlock()
	if done.position == 0 {
		return nil
	}
	err := m.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, name, epoch); err != nil {
			return err
		}
		now := sqldb.Micros(m.config.Now())
		writeDeadlines(tx, done.rows, now)
		for _, f := range done.failed {
			putAside(tx, f, now)
		}
		_, err := tx.Exec(ctx, `INSERT INTO fulfilment_checkpoint (name, position) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, int64(done.position)) //nolint:gosec // below 2^63
		return err
	})
	if err != nil {
		return fmt.Errorf("fulfilment up to %d: %w", done.position, err)
	}
	done.empty()
	return nil
}

// writeDeadlines queues the statements that make the table say what rows do.
func writeDeadlines(tx sqldb.Tx, rows map[uuid.UUID]row, now int64) {
	var ended, set []any
	for id, r := range rows {
		if r.deadline.Kind == "" {
			ended = append(ended, id.String())
			continue
		}
		due := sqldb.Micros(r.deadline.DueAt)
		set = append(set, id.String(), string(r.deadline.Kind), due, due, r.correlationID, r.traceParent, now)
	}
	if len(ended) > 0 {
		tx.Queue(`DELETE FROM fulfilment_deadline WHERE order_id IN `+sqldb.List(1, len(ended)), ended...)
	}
	const columns = 7
	sqldb.QueueRows(tx, `INSERT INTO fulfilment_deadline (order_id, kind, due_at, try_at, correlation_id, traceparent, written_at)`, columns, set,
		`ON CONFLICT (order_id) DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at, try_at = excluded.try_at,
			correlation_id = excluded.correlation_id, traceparent = excluded.traceparent, written_at = excluded.written_at`)
}
