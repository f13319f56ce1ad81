package outbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// historyPage and historyBytes are how many events of the history, with how much
// data, are in memory at once. The event that goes beyond the second is the last
// of its page.
const (
	historyPage  = 1000
	historyBytes = 8 << 20
)

// History is what an outbox has announced, in the order of the announcements,
// for package replay. A position is the number of an announcement, from 1.
type History struct{ o *Outbox }

// History returns the history of this outbox, as far as [Options.Retention] goes
// back.
func (o *Outbox) History() History { return History{o} }

// End returns the position of the last announcement, once everything that is
// committed now has been announced, or parked: until then it waits, for as long
// as ctx allows. So what is not announced up to there will be announced after
// this call.
func (h History) End(ctx context.Context) (end int64, err error) {
	var last int64
	if err := h.o.db.QueryRow(ctx, `SELECT COALESCE(max(seq), 0) FROM outbox WHERE `+unsent).Scan(&last); err != nil {
		return 0, fmt.Errorf("end of the history: %w", err)
	}
	for waiting := 1; ; {
		err := h.o.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM outbox WHERE `+unsent+` AND seq <= $1 LIMIT 1) AS waiting`, last).Scan(&waiting)
		if err != nil {
			return 0, fmt.Errorf("end of the history: %w", err)
		}
		if waiting == 0 {
			break
		}
		if err := pause(ctx, 50*time.Millisecond, nil); err != nil {
			return 0, fmt.Errorf("end of the history: events are still to be announced: %w", err)
		}
	}
	if err := h.o.db.QueryRow(ctx, `SELECT COALESCE(max(announced), 0) FROM outbox WHERE announced IS NOT NULL`).Scan(&end); err != nil {
		return 0, fmt.Errorf("end of the history: %w", err)
	}
	return end, nil
}

// Read hands the announcements behind position after, up to end, to handle, one
// by one; and none at end, if nothing is left there. It returns the first error of handle.
func (h History) Read(
	ctx context.Context, after, end int64, handle func(ctx context.Context, events []eventbus.Event, position int64) error,
) error {
	for after < end {
		rows, err := h.o.db.Query(ctx, `SELECT announced, `+eventColumns+` FROM outbox WHERE announced > $1 AND announced <= (
				SELECT max(announced) FROM (
					SELECT announced, sum(bytes) OVER (ORDER BY announced) - bytes AS before FROM (
						SELECT announced, length(data) AS bytes FROM outbox WHERE announced > $1 AND announced <= $2 ORDER BY announced LIMIT $3
					) AS next
				) AS sized WHERE before < $4
			) ORDER BY announced`, after, end, historyPage, historyBytes)
		if err != nil {
			return fmt.Errorf("read the history: %w", err)
		}
		page, err := sqldb.Collect(rows, scanPending)
		if err != nil {
			return fmt.Errorf("read the history: %w", err)
		}
		for _, row := range page {
			after = row.seq // scanned in place of it: the number of the announcement
			if err := handle(ctx, []eventbus.Event{row.event}, after); err != nil {
				return err
			}
		}
		if len(page) == 0 {
			break // the rest is not there any more
		}
	}
	if after < end {
		return handle(ctx, nil, end)
	}
	return nil
}
