package figures

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// order is what is known about an order; times are microseconds, 0 is never.
type order struct {
	placedAt, packedAt, dispatchedAt, cancelledAt   int64
	packingDelayedAt, dispatchDelayedAt, returnedAt int64
	amount                                          int64
	currency                                        string
}

// status is what the facts amount to. A physical fact wins: a parcel that left
// is dispatched, whatever was decided meanwhile.
func (o order) status() figure {
	switch {
	case o.dispatchedAt > 0:
		return dispatchedOrders
	case o.cancelledAt > 0:
		return cancelledOrders
	case o.packedAt > 0:
		return packedOrders
	default:
		return placedOrders
	}
}

// with adds what a fact tells, unless that is known.
func (o order) with(fact order) order {
	if o.placedAt == 0 {
		o.placedAt, o.amount, o.currency = fact.placedAt, fact.amount, fact.currency
	}
	o.packedAt, o.dispatchedAt = cmp.Or(o.packedAt, fact.packedAt), cmp.Or(o.dispatchedAt, fact.dispatchedAt)
	o.cancelledAt, o.returnedAt = cmp.Or(o.cancelledAt, fact.cancelledAt), cmp.Or(o.returnedAt, fact.returnedAt)
	o.packingDelayedAt = cmp.Or(o.packingDelayedAt, fact.packingDelayedAt)
	o.dispatchDelayedAt = cmp.Or(o.dispatchDelayedAt, fact.dispatchDelayedAt)
	return o
}

// row is an order in the table.
type row struct {
	order

	sequence      int64 // the highest of the order's own events in it
	correlationID string
}

// fact is the one thing that an event tells about an order.
type fact struct {
	event eventbus.Event
	tells order
}

// in adds a fact to a row.
func (f fact) in(r row, known bool) row {
	if !known {
		r = row{sequence: never, correlationID: f.event.CorrelationID}
	}
	r.order = r.with(f.tells)
	if f.tells.placedAt > 0 || f.tells.cancelledAt > 0 {
		// The others are counted by those who say them, each by its own.
		r.sequence = max(r.sequence, f.event.Sequence)
	}
	return r
}

// note adds facts about as many orders to their rows, and the movements that
// follow from them. Nobody else writes these rows meanwhile: the inbox has the
// orders locked, which are the subjects of the events.
func (s *Store) note(ctx context.Context, tx sqldb.Tx, facts []fact) error {
	ids := make([]string, len(facts))
	for i, f := range facts {
		if id, err := uuid.Parse(f.event.Subject); err != nil || id.String() != f.event.Subject {
			return inbox.Park(fmt.Errorf("subject %q is not the id of an order", f.event.Subject))
		}
		ids[i] = f.event.Subject
	}
	rows, err := load(ctx, tx, s.db.Dialect(), ids)
	if err != nil {
		return fmt.Errorf("note %d facts about orders: %w", len(facts), err)
	}
	changed, moves := map[string]row{}, map[place]count{}
	for _, f := range facts {
		before, known := rows[f.event.Subject]
		if after := f.in(before, known); after.order != before.order {
			changed[f.event.Subject] = after
			move(moves, before.order, after.order)
		}
	}
	if len(changed) > 0 {
		save(tx, changed)
		noteMovements(tx, moves)
		tx.AfterCommit(s.ring)
	}
	return nil
}

// load reads the rows that there are of the orders with these ids.
func load(ctx context.Context, tx sqldb.Tx, d sqldb.Dialect, ids []string) (map[string]row, error) {
	query, arg, err := sqldb.ByKey(d, `order_id, placed_at, packed_at, dispatched_at, cancelled_at, amount, currency, order_sequence,
		correlation_id, packing_delayed_at, dispatch_delayed_at, returned_at`, `order_fact`, `order_id`, ids)
	if err != nil {
		return nil, err
	}
	found, err := tx.Query(ctx, query, arg)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]row, len(ids))
	_, err = sqldb.Collect(found, func(one sqldb.Row) (struct{}, error) {
		var id string
		var r row
		err := one.Scan(&id, &r.placedAt, &r.packedAt, &r.dispatchedAt, &r.cancelledAt, &r.amount, &r.currency, &r.sequence,
			&r.correlationID, &r.packingDelayedAt, &r.dispatchDelayedAt, &r.returnedAt)
		rows[id] = r
		return struct{}{}, err
	})
	return rows, err
}

// save queues the statements that write rows.
func save(tx sqldb.Tx, rows map[string]row) {
	const columns = 13
	now := sqldb.Micros(time.Now())
	args := make([]any, 0, len(rows)*columns)
	for id, r := range rows {
		args = append(args, id, r.placedAt, r.packedAt, r.dispatchedAt, r.cancelledAt, r.amount, r.currency,
			r.sequence, r.correlationID, now, r.packingDelayedAt, r.dispatchDelayedAt, r.returnedAt)
	}
	sqldb.QueueRows(tx, `INSERT INTO order_fact (order_id, placed_at, packed_at, dispatched_at, cancelled_at, amount, currency,
		order_sequence, correlation_id, written_at, packing_delayed_at, dispatch_delayed_at, returned_at)`, columns, args,
		`ON CONFLICT (order_id) DO UPDATE SET placed_at = excluded.placed_at, packed_at = excluded.packed_at,
			dispatched_at = excluded.dispatched_at, cancelled_at = excluded.cancelled_at, amount = excluded.amount,
			currency = excluded.currency, order_sequence = excluded.order_sequence, written_at = excluded.written_at,
			packing_delayed_at = excluded.packing_delayed_at, dispatch_delayed_at = excluded.dispatch_delayed_at,
			returned_at = excluded.returned_at`)
}
