package inbox

import (
	"context"

	"orderflow/pkg/sqldb"
)

// handleInside settles items whose effect is inside the transaction. All of
// them share one, unless one fails: then the ones before it, itself, and the
// ones after it are repeated apart.
func (in *Inbox) handleInside(ctx context.Context, items []item) error {
	for len(items) > 0 {
		suspect, err := in.transact(ctx, items)
		if err == nil {
			return nil
		}
		judgement := in.judge(ctx, err)
		if judgement == notItsFault {
			return err
		}
		first := suspect.index
		if !suspect.known { // it failed at the commit: halve
			if len(items) == 1 {
				return in.setAside(ctx, items[0], err, judgement)
			}
			first = len(items) / 2
		}
		if err := in.handleInside(ctx, items[:first]); err != nil {
			return err
		}
		items = items[first:]
		if !suspect.known {
			continue
		}
		// A handler may have hidden an error that broke the transaction, so the
		// one that stumbled over it is guilty only if it was the first to run.
		if suspect.first {
			err = in.setAside(ctx, items[0], err, judgement)
		} else {
			err = in.handleInside(ctx, items[:1])
		}
		if err != nil {
			return err
		}
		items = items[1:]
	}
	return nil
}

// suspect is the item whose handler returned the error of a transaction.
type suspect struct {
	known bool // there is one
	index int
	first bool // no other handler ran before
}

// transact handles all items in one transaction.
func (in *Inbox) transact(ctx context.Context, items []item) (found suspect, err error) {
	var stats Stats
	var done []item
	err = in.db.Update(ctx, func(tx sqldb.Tx) error {
		found, stats, done = suspect{}, Stats{}, nil // it may run again
		if err := in.dialect.lock(ctx, tx, in.consumer, subjects(items)); err != nil {
			return err
		}
		seen, err := in.look(ctx, tx, items)
		if err != nil {
			return err
		}
		var behind []item
		for i, it := range items {
			switch seen.place(it) {
			case again:
				stats.Duplicates++
			case heldBehind:
				behind = append(behind, it)
			case ready:
				err := in.call(ctx, func(ctx context.Context) error { return it.handler.inside(ctx, tx, it.event) })
				if err != nil {
					found = suspect{known: true, index: i, first: len(done) == 0}
					return err
				}
				done = append(done, it)
			}
		}
		stats.Handled, stats.Held = int64(len(done)), int64(len(behind))
		if err := in.note(ctx, tx, done); err != nil {
			return err
		}
		return in.hold(ctx, tx, follow(behind))
	})
	if err == nil {
		in.counters.add(stats)
		in.metrics.handled(done, 1)
	}
	return found, err
}
