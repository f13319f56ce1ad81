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

// Announced is the position in the log up to which everything has been
// announced, or parked.
func (r *Relay) Announced(ctx context.Context) (es.Position, error) {
	at, err := r.checkpoint(ctx)
	if err != nil {
		return 0, fmt.Errorf("relay %s: %w", r.config.Name, err)
	}
	return at, nil
}

// checkpoint is the position up to which everything has been published.
func (r *Relay) checkpoint(ctx context.Context) (es.Position, error) {
	var position int64
	err := r.config.DB.QueryRow(ctx, `SELECT position FROM relay_checkpoint WHERE name = $1`, r.config.Name).Scan(&position)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return 0, fmt.Errorf("read the checkpoint: %w", err)
	}
	return es.Position(position), nil //nolint:gosec // written below from a Position
}

// checkpointTo moves the checkpoint and notes what was published and parked on the way
// to it, unless another relay has taken over since.
func (r *Relay) checkpointTo(ctx context.Context, epoch int64, to es.Position, events []eventbus.Event, failed []Parked) error {
	now := sqldb.Micros(time.Now())
	return r.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, leaseName(r.config.Name), epoch); err != nil {
			return err
		}
		if err := r.dialect.note(ctx, tx, r.config.Name, now, events); err != nil {
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
