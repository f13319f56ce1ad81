package outbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// Waiting is what an outbox holds at the moment that was not sent.
type Waiting struct {
	Pending int // events that are to be sent
	Parked  int // events that the bus refused, which wait for a person
	// Oldest is when the oldest pending one was added; zero when there is none.
	Oldest time.Time
}

// Waiting counts the events that are pending and those that are parked.
func (o *Outbox) Waiting(ctx context.Context) (Waiting, error) {
	var w Waiting
	var oldest *int64
	// Two conditions, as each has an index that holds nothing else.
	err := o.db.QueryRow(ctx, `SELECT count(*), min(added_at), (SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL)
		FROM outbox WHERE sent_at IS NULL AND parked_at IS NULL`).Scan(&w.Pending, &oldest, &w.Parked)
	if err != nil {
		return Waiting{}, fmt.Errorf("count what waits in the outbox: %w", err)
	}
	if oldest != nil {
		w.Oldest = sqldb.Time(*oldest)
	}
	return w, nil
}
