package outbox

import (
	"context"
	"errors"
	"fmt"

	"orderflow/pkg/position"
	"orderflow/pkg/sqldb"
)

// Newest is the position of the last event about a subject that was added and
// committed, which is what the outcome of a command on it rests on; known is
// false when there is none, or none any more: what was sent is kept for a week.
func (o *Outbox) Newest(ctx context.Context, subject string) (p position.Position, known bool, err error) {
	var typ string
	err = o.db.QueryRow(ctx, `SELECT source, subject, type, sequence FROM outbox WHERE subject = $1 ORDER BY seq DESC LIMIT 1`, subject).
		Scan(&p.Source, &p.Subject, &typ, &p.Sequence)
	if errors.Is(err, sqldb.ErrNoRows) {
		return position.Position{}, false, nil
	}
	if err != nil {
		return position.Position{}, false, fmt.Errorf("newest event about %s in the outbox: %w", subject, err)
	}
	p.Name = position.NameOf(typ)
	return p, true, nil
}
