package sqlitebus

import (
	"context"
	"database/sql"
	"time"

	"orderflow/pkg/eventbus/internal/handover"
)

// watchEvery bounds how long an event published through another opening of the
// file waits to be noticed. Asking costs a few microseconds.
const watchEvery = 10 * time.Millisecond

// watch wakes the consumers when another connection has changed the file.
func (b *Bus) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.onConnection(ctx, func(conn *sql.Conn) error { return b.watchOn(ctx, conn) })
		if ctx.Err() != nil {
			return
		}
		b.log.WarnContext(ctx, "watching the file starts over", "error", err)
		handover.Pause(ctx, time.Second)
	}
}

func (b *Bus) watchOn(ctx context.Context, conn *sql.Conn) error {
	statement, err := conn.PrepareContext(ctx, `PRAGMA data_version`)
	if err != nil {
		return err
	}
	defer statement.Close() //nolint:errcheck // the connection goes with it
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var seen int64
	for {
		var version int64
		if err := statement.QueryRowContext(context.Background()).Scan(&version); err != nil {
			return err
		}
		if version != seen {
			seen = version
			b.wake()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
