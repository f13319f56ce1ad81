package outbox

import (
	"context"
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

func (sqlite) suspect(sqldb.DB) {}
