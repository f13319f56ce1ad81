package inbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// pruneAtOnce bounds the rows removed in one transaction, so that forgetting
// never keeps events waiting.
const pruneAtOnce = 1000

// Prune forgets events that were handled longer than age ago, and returns how
// many. Run does this every hour with [Options.Retention]. An age below
// [MinRetention] is an error: such an event could come again and would have its
// effect a second time.
func (in *Inbox) Prune(ctx context.Context, age time.Duration) (int64, error) {
	if age < MinRetention {
		return 0, fmt.Errorf("prune inbox %s: %s is less than the %s for which events can come again", in.consumer, age, MinRetention)
	}
	before := sqldb.Micros(time.Now().Add(-age))
	total := int64(0)
	for {
		var n int64
		err := in.db.Update(ctx, func(tx sqldb.Tx) error {
			var err error
			n, err = tx.Exec(ctx, `DELETE FROM inbox WHERE consumer = $1 AND (id, source) IN (
				SELECT id, source FROM inbox WHERE consumer = $1 AND handled_at < $2 ORDER BY handled_at LIMIT $3)`,
				in.consumer, before, pruneAtOnce)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("prune inbox %s: %w", in.consumer, err)
		}
		total += n
		if n < pruneAtOnce {
			return total, nil
		}
	}
}
