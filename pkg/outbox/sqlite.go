package outbox

import (
	"context"
	"encoding/json"
	"fmt"

	"orderflow/pkg/outbox/internal/capture"
	"orderflow/pkg/sqldb"
)

// sqlite has nothing that could wake another process: that one polls.
type sqlite struct{}

func (sqlite) listen(context.Context, *Outbox, func()) {}

func (sqlite) notify(context.Context, sqldb.DB) error { return nil }

func (sqlite) capture(ctx context.Context, o *Outbox, _ *pipe) error {
	return o.insist(ctx, reading, func() error {
		return fmt.Errorf("%w: it needs PostgreSQL, this is SQLite; set OUTBOX=%s", capture.ErrRefused, Polling)
	})
}

func (sqlite) watchSlot(context.Context, *Outbox) {}

func (sqlite) dropSlot(context.Context, *Outbox) error { return nil }

func (sqlite) in(place int, list []int64) (condition string, args []any) {
	args = make([]any, len(list))
	for i, n := range list {
		args[i] = n
	}
	if len(list) == 0 {
		return "IN ()", nil // which is false, and its opposite true: SQLite's own
	}
	return "IN " + sqldb.List(place, len(list)), args
}

func (sqlite) mark(at int64, seqs []int64) (statement string, args []any) {
	list, err := json.Marshal(seqs)
	if err != nil {
		panic(err) // numbers can always be written
	}
	return `UPDATE outbox SET sent_at = $1, announced = COALESCE(outbox.announced, before.last + place.key + 1)
		FROM json_each($2) AS place,
			(SELECT COALESCE(max(announced), 0) AS last FROM outbox WHERE announced IS NOT NULL) AS before
		WHERE outbox.seq = place.value`, []any{at, string(list)}
}

func (sqlite) suspect(sqldb.DB) {}
