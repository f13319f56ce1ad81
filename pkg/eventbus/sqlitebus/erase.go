package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// eraseAtOnce bounds the messages looked at in one transaction, so that
// publishers do not wait for long.
const eraseAtOnce = 200

// Erase removes messages where they lie; the others do not move. The deleted
// bytes stay in the file until [Bus.Scrub].
func (b *Bus) Erase(ctx context.Context, queue string, theirs func(eventbus.Delivery) bool) (int, error) {
	if b.isClosed() {
		return 0, eventbus.ErrClosed
	}
	var id, end int64
	err := b.db.QueryRowContext(ctx, `SELECT id, (SELECT next_message FROM bus) FROM queue WHERE name = ?`, queue).Scan(&id, &end)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	total := 0
	for after := int64(0); err == nil && after < end-1; {
		var found []int64
		next := end
		err = b.writer.finish(ctx, &job{alone: func(ctx context.Context, conn *sql.Conn) (err error) {
			if found, next, err = choose(ctx, conn, id, after, end, theirs); err != nil {
				return err
			}
			return remove(ctx, conn, id, found)
		}})
		if err == nil {
			total, after = total+len(found), next
		}
	}
	if err != nil {
		return total, fmt.Errorf("erase from %q: %w", queue, err)
	}
	return total, nil
}

// choose looks at the messages of a queue behind one of them, and returns those
// that theirs selects, and behind which to go on.
func choose(
	ctx context.Context, conn *sql.Conn, queue, after, end int64, theirs func(eventbus.Delivery) bool,
) (found []int64, next int64, err error) {
	rows, err := conn.QueryContext(ctx, fetchQuery, queue, after, eraseAtOnce)
	if err != nil {
		return nil, 0, err
	}
	seen := 0
	err = each(rows, func() error {
		seq, _, delivery, err := scanDelivery(rows)
		if err == nil && theirs(delivery) {
			found = append(found, seq)
		}
		seen, next = seen+1, seq
		return err
	})
	if seen < eraseAtOnce {
		next = end
	}
	return found, next, err
}

func remove(ctx context.Context, conn *sql.Conn, queue int64, messages []int64) error {
	for _, message := range messages {
		if _, err := conn.ExecContext(ctx, `DELETE FROM delivery WHERE queue = ? AND message = ?`, queue, message); err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, `DELETE FROM message AS m WHERE m.seq = ?`+unwanted, message); err != nil {
			return err
		}
	}
	return nil
}

// scrubPatience is for how long others may be in the way of scrubbing.
const scrubPatience = time.Minute

// Scrub writes the file anew, from what waits in it, and empties the log beside
// it. Whoever publishes waits while it is written, and not for readers.
func (b *Bus) Scrub(ctx context.Context) error {
	if b.isClosed() {
		return eventbus.ErrClosed
	}
	waiting, cancel := context.WithTimeout(ctx, scrubPatience)
	defer cancel()
	err := b.onConnection(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, `PRAGMA busy_timeout = 50`); err != nil {
			return err
		}
		err := patiently(waiting, func() (bool, error) {
			_, err := conn.ExecContext(ctx, `VACUUM`)
			return isBusy(err), err
		})
		if err == nil {
			err = patiently(waiting, func() (busy bool, err error) {
				var pages, folded int
				err = conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &folded)
				return busy || isBusy(err), err
			})
		}
		_, restored := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA busy_timeout = `+busyTimeout)
		return errors.Join(err, restored)
	})
	if err != nil {
		return fmt.Errorf("scrub event bus %s: %w", b.path, err)
	}
	return nil
}

// errInUse says that another connection keeps what is to be written over.
var errInUse = errors.New("the file is in use")

// patiently repeats what others were in the way of until ctx ends.
func patiently(ctx context.Context, do func() (busy bool, err error)) error {
	for {
		busy, err := do()
		if !busy {
			return err
		}
		if !handover.Pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), errInUse)
		}
	}
}
