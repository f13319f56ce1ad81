package inbox

import (
	"context"
	"errors"
	"time"

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
		if !suspect.known { // one of many, or the commit itself: halve
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
		// What another one queued, or an error that it hid, may have broken the
		// transaction, so the one that stumbled over it is guilty only if it was
		// the first to run.
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

// errLong divides a batch whose handlers, none of which is too slow, are that
// together: the transaction idles meanwhile, and others wait for what it locks.
var errLong = errors.New("the handlers of the batch take too long together")

// suspect is the item whose handler returned the error of a transaction.
type suspect struct {
	known bool // there is one
	index int
	first bool // no other handler ran before
}

// errNotNew ends a transaction that took all its events for new: one is known,
// or is behind a held one. No handler has run.
var errNotNew = errors.New("not all events are new")

// transact handles all items in one transaction. It takes two round trips to
// the database, as long as the handlers only queue statements: one to lock the
// subjects and note the events, one to run what was queued and commit.
func (in *Inbox) transact(ctx context.Context, items []item) (found suspect, err error) {
	found, err = in.transactOnce(ctx, items, in.allNew.Load())
	if errors.Is(err, errNotNew) {
		found, err = in.transactOnce(ctx, items, false)
	}
	return found, err
}

func (in *Inbox) transactOnce(ctx context.Context, items []item, allNew bool) (found suspect, err error) {
	var fresh, behind []item
	err = in.update(ctx, func(tx sqldb.Tx) error {
		found = suspect{} // it may run again
		in.dialect.lock(tx, in.consumer, subjects(items))
		var err error
		if fresh, behind, err = in.admit(ctx, tx, items, allNew); err != nil {
			return err
		}
		began := time.Now()
		for n, call := range gather(fresh) {
			if n > 0 && time.Since(began) > in.options.Timeout {
				return errLong
			}
			guilty, err := in.handleTogether(ctx, tx, call)
			if err != nil {
				found = suspectOf(items, guilty, n == 0)
				return err
			}
		}
		return in.hold(ctx, tx, follow(behind))
	})
	if err == nil {
		in.counters.add(Stats{
			Handled: int64(len(fresh)), Held: int64(len(behind)), Duplicates: int64(len(items) - len(fresh) - len(behind)),
		})
		in.handled(fresh, 1)
	}
	return found, err
}

// suspectOf finds the guilty one among the items, if it is known.
func suspectOf(items []item, guilty *item, first bool) suspect {
	for i, it := range items {
		if guilty != nil && it.key() == guilty.key() {
			return suspect{known: true, index: i, first: first}
		}
	}
	return suspect{}
}
