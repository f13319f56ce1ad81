package inbox

import (
	"context"

	"orderflow/pkg/sqldb"
)

// seats bounds the transactions of an inbox in which handlers run to half the
// connections of the pool. A handler may take a second one, and if transactions
// had them all, each would wait for the others.
type seats chan struct{}

func seatsFor(db sqldb.DB) seats {
	pool, ok := sqldb.Pool(db)
	if !ok {
		return make(seats, 1) // one writer
	}
	return make(seats, max(1, pool.Stat().MaxConns()/2))
}

// update is [sqldb.DB.Update] for a function that runs handlers.
func (in *Inbox) update(ctx context.Context, fn func(sqldb.Tx) error) error {
	select {
	case in.seats <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-in.seats }()
	return in.db.Update(ctx, fn)
}
