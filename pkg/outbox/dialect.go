package outbox

import (
	"context"

	"orderflow/pkg/sqldb"
)

// dialect is what differs between the databases.
type dialect interface {
	// listen calls wake whenever another process committed rows, until ctx ends.
	listen(ctx context.Context, o *Outbox, wake func())
	// notify wakes the listener in another process.
	notify(ctx context.Context, db sqldb.DB) error
	// capture reads the table by change data capture, until ctx ends.
	capture(ctx context.Context, o *Outbox, p *pipe) error
	// watchSlot looks after the replication slot until ctx ends.
	watchSlot(ctx context.Context, o *Outbox)
	// dropSlot removes the replication slot and what belongs to it.
	dropSlot(ctx context.Context, o *Outbox) error
	// in is a condition that a number is in a list, which comes as the arguments
	// from the given place on.
	in(place int, list []int64) (condition string, args []any)
	// mark is the statement that notes the rows with the numbers seqs as sent at
	// a time, and numbers their announcements on, in that order.
	mark(at int64, seqs []int64) (statement string, args []any)
	// suspect throws away idle connections: one of them leads nowhere.
	suspect(db sqldb.DB)
}

// DropSlot removes the replication slot of [Capture] and its publication, for
// a service that goes away or no longer reads the outbox that way. There being
// none is no error. A publisher that still reads it makes a new one.
func (o *Outbox) DropSlot(ctx context.Context) error { return o.dialect.dropSlot(ctx, o) }
