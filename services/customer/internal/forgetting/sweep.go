package forgetting

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/services/customer/internal/announce"
)

// sweepAfter are the pauses before each search for copies: as soon as all is
// announced; when what a queue still had is surely gone; and when a relay that
// was paused, with their events in its hands, has woken up.
var sweepAfter = [...]time.Duration{0, 5 * time.Second, 10 * time.Minute}

// sweepPoll is how often it is asked whether there is anything to do.
const sweepPoll = 500 * time.Millisecond

func (f *Forgetting) sweep(ctx context.Context, epoch int64) error {
	ticker := time.NewTicker(sweepPoll)
	defer ticker.Stop()
	for {
		due, err := f.due(ctx)
		if err != nil {
			return err
		}
		if len(due) > 0 {
			if err := f.erase(ctx, due); err != nil {
				return err
			}
			if err := f.done(ctx, epoch, due); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// due are the customers whose forgetting is announced and whose time has come.
func (f *Forgetting) due(ctx context.Context) ([]forgotten, error) {
	announced, err := f.relay.Announced(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := f.db.Query(ctx, `SELECT customer_id, sweeps FROM forgetting WHERE due_at <= $1 AND position <= $2`,
		sqldb.Micros(time.Now()), int64(announced)) //nolint:gosec // below 2^63
	if err != nil {
		return nil, fmt.Errorf("who is forgotten: %w", err)
	}
	due, err := sqldb.Collect(rows, func(row sqldb.Row) (c forgotten, err error) {
		var id string
		if err = row.Scan(&id, &c.sweeps); err == nil {
			c.id, err = uuid.Parse(id)
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("who is forgotten: %w", err)
	}
	return due, nil
}

// erase removes what this service, and the bus outside of anybody's queue, still
// have of customers.
func (f *Forgetting) erase(ctx context.Context, customers []forgotten) error {
	for _, c := range customers {
		if err := f.relay.Erase(ctx, es.StreamName("customer", c.id)); err != nil {
			return err
		}
	}
	for _, queue := range []string{eventbus.Unrouted, eventbus.Unrouted + eventbus.DeadSuffix} {
		if _, err := f.bus.Erase(ctx, queue, about(customers)); err != nil {
			return err
		}
	}
	if err := f.db.Scrub(ctx); err != nil {
		return err
	}
	return f.bus.Scrub(ctx)
}

// about selects what may say who the customers were: every event about them but
// the one that says they are forgotten, and what is no event and mentions them.
func about(customers []forgotten) func(eventbus.Delivery) bool {
	ids := map[string]bool{}
	for _, c := range customers {
		ids[c.id.String()] = true
	}
	return func(d eventbus.Delivery) bool {
		if d.Malformed == nil {
			return ids[d.Event.Subject] && d.Event.Type != announce.ForgottenV1
		}
		for id := range ids {
			if d.Event.Subject == id || bytes.Contains(d.Event.Data, []byte(id)) {
				return true
			}
		}
		return false
	}
}

// done notes that copies were looked for.
func (f *Forgetting) done(ctx context.Context, epoch int64, customers []forgotten) error {
	err := f.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, name, epoch); err != nil {
			return err
		}
		for _, c := range customers {
			if sweeps := c.sweeps + 1; sweeps < len(sweepAfter) {
				tx.Queue(`UPDATE forgetting SET sweeps = $2, due_at = $3 WHERE customer_id = $1`,
					c.id.String(), sweeps, sqldb.Micros(time.Now().Add(sweepAfter[sweeps])))
			} else {
				tx.Queue(`DELETE FROM forgetting WHERE customer_id = $1`, c.id.String())
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note who was swept: %w", err)
	}
	return nil
}
