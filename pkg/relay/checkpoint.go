package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// checkpoint is the position up to which everything has been published.
func (r *Relay) checkpoint(ctx context.Context) (es.Position, error) {
	var position int64
	err := r.config.DB.QueryRow(ctx, `SELECT position FROM relay_checkpoint WHERE name = $1`, r.config.Name).Scan(&position)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return 0, fmt.Errorf("checkpoint of relay %s: %w", r.config.Name, err)
	}
	return es.Position(position), nil //nolint:gosec // written below from a Position
}

// save moves the checkpoint and notes what was published and parked on the way
// to it, unless another relay has taken over since.
func (r *Relay) save(ctx context.Context, epoch int64, to es.Position, events []eventbus.Event, failed []Parked) error {
	now := sqldb.Micros(time.Now())
	return r.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, "relay-"+r.config.Name, epoch); err != nil {
			return err
		}
		if err := r.note(ctx, tx, now, events); err != nil {
			return err
		}
		for _, p := range failed {
			if _, err := tx.Exec(ctx, `INSERT INTO relay_parked (id, name, stream, revision, position, type, reason, parked_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
				p.ID, r.config.Name, p.Stream, p.Revision, p.Position, p.Type, p.Reason, now); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO relay_checkpoint (name, position) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET position = excluded.position`, r.config.Name, int64(to)) //nolint:gosec // below 2^63
		return err
	})
}

// noteColumns is how many columns a row of relay_published has.
const noteColumns = 8

// note writes down what was published, in one statement.
func (r *Relay) note(ctx context.Context, tx sqldb.Tx, now int64, events []eventbus.Event) error {
	const most = 500 // rows a statement, below the limits on placeholders
	for len(events) > 0 {
		part := events[:min(most, len(events))]
		events = events[len(part):]
		args := make([]any, 0, len(part)*noteColumns)
		for _, e := range part {
			args = append(args, e.ID, r.config.Name, e.Type, e.Subject, e.Sequence, e.CorrelationID, e.CausationID, now)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO relay_published
			(id, name, type, subject, sequence, correlation_id, causation_id, published_at)
			VALUES `+sqldb.Values(len(part), noteColumns)+` ON CONFLICT (id) DO NOTHING`, args...); err != nil {
			return err
		}
	}
	return nil
}

// prune forgets old publications, now and then. That it did not work is no
// reason to stop publishing: it is tried again an hour later.
func (r *Relay) prune(ctx context.Context) {
	r.mu.Lock()
	due := time.Since(r.prunedAt) > time.Hour
	if due {
		r.prunedAt = time.Now()
	}
	r.mu.Unlock()
	if !due {
		return
	}
	err := r.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM relay_published WHERE name = $1 AND published_at < $2`,
			r.config.Name, sqldb.Micros(time.Now().Add(-retention)))
		return err
	})
	if err != nil && ctx.Err() == nil {
		r.config.Log.WarnContext(ctx, "old publications are not forgotten", "error", err)
	}
}
