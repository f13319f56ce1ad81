package relay

import (
	"context"
	"encoding/json"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

type sqlite struct{}

// note passes all rows as one argument: preparing a statement with a placeholder
// for each value would cost more than writing the rows.
func (sqlite) note(ctx context.Context, tx sqldb.Tx, name string, now int64, events []eventbus.Event) error {
	if len(events) == 0 {
		return nil
	}
	rows := make([][6]any, len(events))
	for i, e := range events {
		rows[i] = [6]any{e.ID, e.Type, e.Subject, e.Sequence, e.CorrelationID, e.CausationID}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO relay_published
		(id, name, type, subject, sequence, correlation_id, causation_id, published_at)
		SELECT value ->> 0, $1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, $2
		FROM json_each($3) WHERE true ON CONFLICT DO NOTHING`, name, now, string(text))
	return err
}

// forget looks at the oldest rows only: rows are added in the order of time.
func (sqlite) forget(ctx context.Context, tx sqldb.Tx, before int64) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM relay_published
		WHERE published_at < $1 AND rowid IN (SELECT rowid FROM relay_published ORDER BY rowid LIMIT 1000)`, before)
}
