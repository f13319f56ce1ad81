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
	var id, end int64
	err := b.db.QueryRowContext(ctx, `SELECT id, (SELECT next_message FROM bus) FROM queue WHERE name = ?`, queue).Scan(&id, &end)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	erased := 0
	for after := int64(0); err == nil && after < end; {
		job := &job{alone: func(ctx context.Context, conn *sql.Conn) error {
			found, last, err := b.select1(ctx, conn, id, after, theirs)
			if err != nil {
				return err
			}
			for _, message := range found {
				if err := removeDelivery(ctx, conn, id, message); err != nil {
					return err
				}
			}
			erased += len(found)
			after = last
			return nil
		}}
		err = b.writer.finish(ctx, job)
	}
	if err != nil {
		return erased, fmt.Errorf("erase from %q: %w", queue, err)
	}
	return erased, nil
}
