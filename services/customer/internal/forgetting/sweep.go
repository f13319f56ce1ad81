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
		if err := f.look(ctx, epoch); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look does what is due. Keys come first: a bus that is away is in the way of
// copies only.
func (f *Forgetting) look(ctx context.Context, epoch int64) error {
	keys, err := f.due(ctx, `sweeps = $2`, keyOnly)
	if err != nil {
		return err
	}
	if len(keys) > 0 {
		if err := f.db.Scrub(ctx); err != nil {
			return err
		}
		if err := f.done(ctx, epoch, keys); err != nil {
			return err
		}
	}
	announced, err := f.relay.Announced(ctx)
	if err != nil {
		return err
	}
	copied, err := f.due(ctx, `sweeps >= 0 AND position <= $2`, int64(announced)) //nolint:gosec // below 2^63
	if err != nil || len(copied) == 0 {
		return err
	}
	if err := f.erase(ctx, copied); err != nil {
		return err
	}
	return f.done(ctx, epoch, copied)
}

// due are the customers whose time has come, among those that which selects.
func (f *Forgetting) due(ctx context.Context, which string, arg int64) ([]forgotten, error) {
	rows, err := f.db.Query(ctx, `SELECT customer_id, sweeps FROM forgetting WHERE due_at <= $1 AND `+which, sqldb.Micros(time.Now()), arg)
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

// done notes that what was due is done, unless the log has told of the customer
// anew meanwhile.
func (f *Forgetting) done(ctx context.Context, epoch int64, customers []forgotten) error {
	err := f.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, name, epoch); err != nil {
			return err
		}
		for _, c := range customers {
			if sweeps := c.sweeps + 1; sweeps < len(sweepAfter) {
				tx.Queue(`UPDATE forgetting SET sweeps = $2, due_at = $3 WHERE customer_id = $1 AND sweeps = $4`,
					c.id.String(), sweeps, sqldb.Micros(time.Now().Add(sweepAfter[sweeps])), c.sweeps)
			} else {
				tx.Queue(`DELETE FROM forgetting WHERE customer_id = $1 AND sweeps = $2`, c.id.String(), c.sweeps)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note who was swept: %w", err)
	}
	return nil
}
