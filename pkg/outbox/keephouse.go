package outbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// forgetAtOnce bounds the rows removed in one transaction, so that removing
// never keeps a command waiting.
const forgetAtOnce = 1000

// keepHouse removes old rows now and then.
func (o *Outbox) keepHouse(ctx context.Context) {
	every := min(time.Minute, max(o.options.Retention/10, time.Second))
	problem := ""
	for {
		if err := o.forgetAll(ctx); err != nil && ctx.Err() == nil && err.Error() != problem {
			problem = err.Error()
			o.log.WarnContext(ctx, "outbox cannot clean up, trying again", "error", err)
		} else if err == nil {
			problem = ""
		}
		if pause(ctx, every, nil) != nil {
			return
		}
	}
}

func (o *Outbox) forgetAll(ctx context.Context) error {
	for {
		var n int64
		err := o.ask(ctx, func(ctx context.Context) (err error) {
			n, err = o.forget(ctx)
			return err
		})
		if err != nil || n < forgetAtOnce {
			return err
		}
	}
}

// forget removes the oldest rows that were sent longer ago than the retention.
// Parked rows stay until a person decides.
func (o *Outbox) forget(ctx context.Context) (n int64, err error) {
	before := sqldb.Micros(time.Now().Add(-o.options.Retention))
	var old int
	// Looking first costs no lock, and mostly there is nothing.
	if err := o.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM outbox WHERE sent_at < $1 LIMIT 1) AS old`, before).Scan(&old); err != nil {
		return 0, fmt.Errorf("look for old rows of the outbox: %w", err)
	}
	if old == 0 {
		return 0, nil
	}
	err = o.db.Update(ctx, func(tx sqldb.Tx) error {
		n, err = tx.Exec(ctx, `DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE sent_at < $1 ORDER BY sent_at LIMIT $2)`,
			before, forgetAtOnce)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove old rows of the outbox: %w", err)
	}
	return n, nil
}
