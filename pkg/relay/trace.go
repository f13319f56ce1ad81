package relay

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

const (
	// retention is how long publications stay for tracing.
	retention = 7 * 24 * time.Hour
	// forgetEvery is how often older ones are removed.
	forgetEvery = time.Hour
)

// Published is one announcement, for people who look into what happened.
type Published struct {
	ID, Type, Subject          string
	Sequence                   int64
	CorrelationID, CausationID string
	PublishedAt                time.Time
}

// Trace returns what was published about a subject, oldest first, as far as the
// retention of 7 days goes back.
func (r *Relay) Trace(ctx context.Context, subject string) ([]Published, error) {
	rows, err := r.config.DB.Query(ctx, `SELECT id, type, subject, sequence, correlation_id, causation_id, published_at
		FROM relay_published WHERE name = $1 AND subject = $2 ORDER BY sequence, type`, r.config.Name, subject)
	if err != nil {
		return nil, fmt.Errorf("trace %s in relay %s: %w", subject, r.config.Name, err)
	}
	return sqldb.Collect(rows, scanPublished)
}

// Published returns up to limit publications behind the one with this subject
// and id, by subject and id, as far as the retention of 7 days goes back. Empty
// texts stand before the first.
func (r *Relay) Published(ctx context.Context, subject, id string, limit int) ([]Published, error) {
	rows, err := r.config.DB.Query(ctx, `SELECT id, type, subject, sequence, correlation_id, causation_id, published_at
		FROM relay_published WHERE name = $1 AND (subject, id) > ($2, $3) ORDER BY subject, id LIMIT $4`,
		r.config.Name, subject, id, limit)
	if err != nil {
		return nil, fmt.Errorf("publications of relay %s: %w", r.config.Name, err)
	}
	return sqldb.Collect(rows, scanPublished)
}

func scanPublished(row sqldb.Row) (Published, error) {
	var p Published
	var at int64
	err := row.Scan(&p.ID, &p.Type, &p.Subject, &p.Sequence, &p.CorrelationID, &p.CausationID, &at)
	p.PublishedAt = sqldb.Time(at)
	return p, err
}

// ParkedOf returns the parked events of an aggregate, in the order of its
// stream. aggregate is the id in the names of the streams.
func (r *Relay) ParkedOf(ctx context.Context, aggregate string) ([]Parked, error) {
	if len(r.config.Prefixes) == 0 {
		return nil, nil
	}
	args := make([]any, len(r.config.Prefixes))
	for i, prefix := range r.config.Prefixes {
		args[i] = prefix + aggregate
	}
	return r.parked(ctx, `stream IN `+sqldb.List(2, len(args))+` ORDER BY position`, args...)
}

// forgetOld removes old publications now and then until ctx ends, some at a time
// so that nobody waits long for them. That it did not work is no reason to stop
// publishing: it is tried again.
func (r *Relay) forgetOld(ctx context.Context) error {
	ticker := time.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		forgotten := int64(1)
		var err error
		for forgotten > 0 && err == nil {
			err = r.config.DB.Update(ctx, func(tx sqldb.Tx) error {
				var err error
				forgotten, err = r.dialect.forget(ctx, tx, sqldb.Micros(time.Now().Add(-retention)))
				return err
			})
		}
		if err != nil && ctx.Err() == nil {
			r.config.Log.WarnContext(ctx, "old publications are not forgotten", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
