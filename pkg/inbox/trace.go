package inbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"orderflow/pkg/sqldb"
)

// Received is what became of one event, for people who look into it.
type Received struct {
	ID, Source, Type, Subject  string
	Sequence                   int64
	CorrelationID, CausationID string
	Time, ReceivedAt           time.Time
	HandledAt                  time.Time // zero while it is held or parked
	DueAt                      time.Time // when one that is held is tried again; zero for all others
	// Status is "handled", "discarded", "held" or "parked".
	Status   string
	Attempts int
	// Reason is why the last attempt that failed did; empty when none did.
	Reason string
}

// Trace returns what arrived about a subject, in order of arrival, as far as
// the retention goes back.
func (in *Inbox) Trace(ctx context.Context, subject string) ([]Received, error) {
	rows, err := in.db.Query(ctx, `SELECT id, source, type, subject, sequence, correlation_id, causation_id, time, received_at,
			handled_at, outcome, attempts, reason, 0 FROM inbox WHERE consumer = $1 AND subject = $2
		UNION ALL SELECT id, source, type, subject, sequence, correlation_id, causation_id, time, received_at,
			0, status, attempts, reason, CASE WHEN status = 'held' THEN due_at ELSE 0 END FROM inbox_held WHERE consumer = $1 AND subject = $2
		ORDER BY 9, 5`, in.consumer, subject)
	if err != nil {
		return nil, fmt.Errorf("trace %s in inbox %s: %w", subject, in.consumer, err)
	}
	received, err := sqldb.Collect(rows, scanReceived)
	if err != nil {
		return nil, fmt.Errorf("trace %s in inbox %s: %w", subject, in.consumer, err)
	}
	return slices.Clip(received), nil
}

func scanReceived(row sqldb.Row) (Received, error) {
	var r Received
	var at, receivedAt, handledAt, dueAt int64
	err := row.Scan(&r.ID, &r.Source, &r.Type, &r.Subject, &r.Sequence, &r.CorrelationID, &r.CausationID, &at, &receivedAt,
		&handledAt, &r.Status, &r.Attempts, &r.Reason, &dueAt)
	r.Time, r.ReceivedAt = sqldb.Time(at), sqldb.Time(receivedAt)
	if handledAt != 0 {
		r.HandledAt = sqldb.Time(handledAt)
	}
	if dueAt != 0 {
		r.DueAt = sqldb.Time(dueAt)
	}
	return r, err
}
