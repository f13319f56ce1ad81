package inbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// pruneAtOnce bounds the rows removed in one transaction, so that forgetting
// never keeps events waiting.
const pruneAtOnce = 2000

// Prune forgets events that were handled longer than age before the last event
// that this process handled, and returns how many. Run does this every hour
// with [Options.Retention].
//
// So time in which nothing is handled does not count, and a process that has
// handled nothing yet forgets nothing: what the bus kept for a consumer that
// was stopped for months comes first when it is back, and is still known then.
//
// What is kept is how far each subject had come, one row for each source and
// type, so that [Inbox.Await] stays right.
//
// An age below [MinRetention] is an error: such an event could come again and
// would have its effect a second time.
func (in *Inbox) Prune(ctx context.Context, age time.Duration) (int64, error) {
	if age < MinRetention {
		return 0, fmt.Errorf("prune inbox %s: %s is less than the %s for which events can come again", in.consumer, age, MinRetention)
	}
	last := in.lastHandled.Load()
	if last == 0 {
		return 0, nil
	}
	before := last - age.Microseconds()
	total := int64(0)
	for {
		var n int64
		err := in.db.Update(ctx, func(tx sqldb.Tx) error {
			var err error
			n, err = in.dialect.forget(ctx, tx, in.consumer, before, pruneAtOnce)
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
