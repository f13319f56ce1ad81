package inbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// Waiting is what an inbox holds at the moment.
type Waiting struct {
	Held   int // events that are tried again by themselves
	Parked int // events that wait for a person
	// OldestHeld and OldestParked are when the oldest of each was received; zero
	// when there is none.
	OldestHeld, OldestParked time.Time
}

// Waiting counts the events that are held and those that are parked.
func (in *Inbox) Waiting(ctx context.Context) (Waiting, error) {
	var w Waiting
	var held, parked *int64
	err := in.db.QueryRow(ctx, `SELECT
			count(CASE WHEN status = 'held' THEN 1 END), min(CASE WHEN status = 'held' THEN received_at END),
			count(CASE WHEN status = 'parked' THEN 1 END), min(CASE WHEN status = 'parked' THEN received_at END)
		FROM inbox_held WHERE consumer = $1`, in.consumer).Scan(&w.Held, &held, &w.Parked, &parked)
	if err != nil {
		return Waiting{}, fmt.Errorf("count what inbox %s holds: %w", in.consumer, err)
	}
	if held != nil {
		w.OldestHeld = sqldb.Time(*held)
	}
	if parked != nil {
		w.OldestParked = sqldb.Time(*parked)
	}
	return w, nil
}
