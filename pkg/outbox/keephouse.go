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

// keepHouse removes old rows now and then, if they are to go at all.
func (o *Outbox) keepHouse(ctx context.Context) {
	if o.options.Retention == 0 {
		return
	}
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

// forget removes the oldest rows that were sent longer ago than the retention,
// but for the last one, whose number the next one follows. Parked rows stay
// until a person decides.
func (o *Outbox) forget(ctx context.Context) (n int64, err error) {
	before := sqldb.Micros(time.Now().Add(-o.options.Retention))
	var old int
	// Looking first costs no lock, and mostly there is nothing.
	if err := o.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM (`+oldest(1)+`) AS first WHERE sent_at < $1) AS old`, before).Scan(&old); err != nil {
		return 0, fmt.Errorf("look for old rows of the outbox: %w", err)
	}
	if old == 0 {
		return 0, nil
	}
	err = o.db.Update(ctx, func(tx sqldb.Tx) error {
		n, err = tx.Exec(ctx, `DELETE FROM outbox WHERE seq IN (SELECT seq FROM (`+oldest(forgetAtOnce)+`) AS first WHERE sent_at < $1)`, before)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove old rows of the outbox: %w", err)
	}
	return n, nil
}

// oldest selects the first announcements, without the very last.
func oldest(limit int) string {
	return fmt.Sprintf(`SELECT seq, sent_at FROM outbox WHERE announced IS NOT NULL
		AND announced < (SELECT max(announced) FROM outbox WHERE announced IS NOT NULL) ORDER BY announced LIMIT %d`, limit)
}
