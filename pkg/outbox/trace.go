package outbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// Published is one row of the outbox, for people who look into what happened.
type Published struct {
	Event eventbus.Event
	// Request is the HTTP call that brought the event about, received at
	// RequestedAt; empty when an incoming event did.
	Request     string
	RequestedAt time.Time
	AddedAt     time.Time
	// SentAt is when the bus had the event; zero while it waits or is parked.
	SentAt time.Time
	// ParkedAt is when the bus refused it, for this Reason; zero otherwise.
	ParkedAt time.Time
	Reason   string

	seq int64
}

// Trace returns what was announced about a subject, oldest first, as far as the
// retention goes back.
func (o *Outbox) Trace(ctx context.Context, subject string) ([]Published, error) {
	found, err := o.published(ctx, `WHERE subject = $1 ORDER BY seq`, subject)
	if err != nil {
		return nil, fmt.Errorf("trace %s in the outbox: %w", subject, err)
	}
	return found, nil
}

// Published returns up to limit rows with ids greater than after, by id, as far
// as the retention goes back; those that wait and those that were parked are
// among them.
func (o *Outbox) Published(ctx context.Context, after string, limit int) ([]Published, error) {
	found, err := o.published(ctx, `WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the outbox: %w", err)
	}
	return found, nil
}

func (o *Outbox) published(ctx context.Context, where string, args ...any) ([]Published, error) {
	rows, err := o.db.Query(ctx, `SELECT seq, `+eventColumns+`, request, requested_at, added_at, sent_at, parked_at, reason
		FROM outbox `+where, args...)
	if err != nil {
		return nil, err
	}
	return sqldb.Collect(rows, scanPublished)
}

func scanPublished(row sqldb.Row) (Published, error) {
	var p Published
	var at, requestedAt, addedAt int64
	var sentAt, parkedAt *int64
	var reason *string
	e := &p.Event
	err := row.Scan(&p.seq, &e.ID, &e.Source, &e.Type, &e.Subject, &at, &e.DataContentType, &e.Data,
		&e.CorrelationID, &e.CausationID, &e.TraceParent, &e.Sequence,
		&p.Request, &requestedAt, &addedAt, &sentAt, &parkedAt, &reason)
	if err != nil {
		return Published{}, err
	}
	e.Time, p.AddedAt = sqldb.Time(at), sqldb.Time(addedAt)
	if requestedAt != 0 {
		p.RequestedAt = sqldb.Time(requestedAt)
	}
	if sentAt != nil {
		p.SentAt = sqldb.Time(*sentAt)
	}
	if parkedAt != nil {
		p.ParkedAt = sqldb.Time(*parkedAt)
	}
	if reason != nil {
		p.Reason = *reason
	}
	return p, nil
}
