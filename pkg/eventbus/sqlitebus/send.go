package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"orderflow/pkg/eventbus"
)

// Send stores the events in one queue, in one transaction, all or none, as
// [Bus.Publish] does. A queue that is not there refuses the whole call with
// eventbus.ErrNoQueue.
func (b *Bus) Send(ctx context.Context, queue string, events ...eventbus.Event) error {
	replayed := slices.Clone(events)
	for i := range replayed {
		if err := replayed[i].Validate(); err != nil {
			return fmt.Errorf("send to %q: %w", queue, err)
		}
		replayed[i].Replayed = true
	}
	if b.isClosed() {
		return eventbus.ErrClosed
	}
	if len(events) == 0 {
		return nil
	}
	err := b.writer.do(ctx, &job{publish: replayed, to: queue})
	if err != nil && !errors.Is(err, eventbus.ErrClosed) {
		return fmt.Errorf("send %d events from %s %s: %w", len(events), events[0].Type, events[0].ID, err)
	}
	return err
}

// Patterns returns what is bound to a queue.
func (b *Bus) Patterns(ctx context.Context, queue string) ([]string, error) {
	if b.isClosed() {
		return nil, eventbus.ErrClosed
	}
	patterns := []string{}
	err := b.onConnection(ctx, func(conn *sql.Conn) error {
		id, err := queueCalled(ctx, conn, queue)
		if err != nil {
			return err
		}
		had, err := patternsOf(ctx, conn, id)
		patterns = append(patterns, had...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("patterns of %q: %w", queue, err)
	}
	slices.Sort(patterns)
	return patterns, nil
}

// queueCalled returns the id of a queue, or eventbus.ErrNoQueue.
func queueCalled(ctx context.Context, conn *sql.Conn, name string) (id int64, err error) {
	err = conn.QueryRowContext(ctx, `SELECT id FROM queue WHERE name = ?`, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("%w: %q", eventbus.ErrNoQueue, name)
	}
	return id, err
}
