package relay

import (
	"context"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

type postgres struct{}

// note passes a column an argument, so that any number of rows is one statement
// that the server has planned before.
func (postgres) note(ctx context.Context, tx sqldb.Tx, name string, now int64, events []eventbus.Event) error {
	if len(events) == 0 {
		return nil
	}
	n := len(events)
	ids, types, subjects := make([]string, n), make([]string, n), make([]string, n)
	sequences, correlations, causations := make([]int64, n), make([]string, n), make([]string, n)
	for i, e := range events {
		ids[i], types[i], subjects[i] = e.ID, e.Type, e.Subject
		sequences[i], correlations[i], causations[i] = e.Sequence, e.CorrelationID, e.CausationID
	}
	_, err := tx.Exec(ctx, `INSERT INTO relay_published
		(id, name, type, subject, sequence, correlation_id, causation_id, published_at)
		SELECT id, $1, type, subject, sequence, correlation_id, causation_id, $2
		FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
			AS published (id, type, subject, sequence, correlation_id, causation_id)
		ON CONFLICT DO NOTHING`, name, now, ids, types, subjects, sequences, correlations, causations)
	return err
}

// forget finds old rows by the index that keeps the times of whole blocks: rows
// are added in the order of time.
func (postgres) forget(ctx context.Context, tx sqldb.Tx, before int64) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM relay_published
		WHERE ctid = ANY (ARRAY (SELECT ctid FROM relay_published WHERE published_at < $1 LIMIT 5000))`, before)
}
