package relay

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
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
	return sqldb.Collect(rows, func(row sqldb.Row) (Published, error) {
		var p Published
		var at int64
		err := row.Scan(&p.ID, &p.Type, &p.Subject, &p.Sequence, &p.CorrelationID, &p.CausationID, &at)
		p.PublishedAt = sqldb.Time(at)
		return p, err
	})
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
