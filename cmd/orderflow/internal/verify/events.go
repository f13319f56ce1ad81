package verify

import (
	"context"
	"fmt"

	"orderflow/pkg/sqldb"
)

// committed is one event of the log, by its id.
type committed struct {
	id, subject, typ string
	at               int64 // when it was committed, in microseconds
}

// tell takes down that others were told of events, and returns which of the ids
// are those of committed ones.
func (b *book) tell(ctx context.Context, ids []string) (map[string]bool, error) {
	found := map[string]bool{}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	err := b.write(ctx, func(tx sqldb.Tx) error {
		rows, err := tx.Query(ctx, `UPDATE event SET told = 1 WHERE id IN `+sqldb.List(1, len(ids))+` RETURNING id`, args...)
		if err != nil {
			return err
		}
		_, err = sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
			var id string
			err := row.Scan(&id)
			found[id] = true
			return struct{}{}, err
		})
		return err
	})
	return found, err
}

// untold returns up to limit events that others had to be told of and were not,
// committed from since until before, behind an id.
func (b *book) untold(ctx context.Context, since, before int64, after string, limit int) ([]committed, error) {
	rows, err := b.db.Query(ctx, `SELECT id, subject, type, at FROM event
		WHERE must = 1 AND told = 0 AND at >= $1 AND at < $2 AND id > $3 ORDER BY id LIMIT $4`, since, before, after, limit)
	if err != nil {
		return nil, fmt.Errorf("temporary database: %w", err)
	}
	events, err := sqldb.Collect(rows, func(row sqldb.Row) (e committed, err error) {
		return e, row.Scan(&e.id, &e.subject, &e.typ, &e.at)
	})
	if err != nil {
		return nil, fmt.Errorf("temporary database: %w", err)
	}
	return events, nil
}
