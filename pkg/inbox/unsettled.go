package inbox

import (
	"context"
	"fmt"
)

// Unsettled reports whether something that arrived about a subject is held or
// parked: told, and not handled yet.
func (in *Inbox) Unsettled(ctx context.Context, subject string) (bool, error) {
	var n int
	err := in.db.QueryRow(ctx, `SELECT count(*) FROM inbox_held WHERE consumer = $1 AND subject = $2`, in.consumer, subject).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("what inbox %s holds of %s: %w", in.consumer, subject, err)
	}
	return n > 0, nil
}
