package inbox

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/pkg/sqldb"
)

// handleOutside settles items whose effect is outside the transaction. The
// effects come first: what is noted in the inbox has happened. Work that takes
// long is divided over several transactions.
func (in *Inbox) handleOutside(ctx context.Context, items []item) error {
	for len(items) > 0 {
		left, err := in.settleOutside(ctx, items)
		if err != nil {
			return err
		}
		items = left
	}
	return nil
}

// settleOutside does what it can within about twice the time of a handler, and
// returns what is left.
func (in *Inbox) settleOutside(ctx context.Context, items []item) (left []item, err error) {
	var result effects
	perform := func(q sqldb.Querier) error {
		seen, err := in.look(ctx, q, items)
		if err != nil {
			return err
		}
		result = in.perform(ctx, items, seen)
		return nil
	}
	keep := func(tx sqldb.Tx) error {
		fresh, err := in.stillUnknown(ctx, tx, result.aside)
		if err != nil {
			return err
		}
		in.note(tx, result.done)
		return in.hold(ctx, tx, fresh)
	}
	if err := in.aroundEffects(ctx, items, perform, keep); err != nil {
		return nil, err
	}
	var failed []aside
	behind := 0
	for _, row := range result.aside {
		if row.attempts > 0 {
			failed = append(failed, row)
		} else {
			behind++
		}
	}
	in.counters.add(Stats{Handled: int64(len(result.done)), Duplicates: result.duplicates, Held: int64(behind)})
	in.handled(result.done, 1)
	in.tellAside(ctx, failed)
	return result.left, result.outage
}

// aroundEffects runs both parts in one transaction that locks the subjects;
// where that would keep everybody else from writing, the first one runs in none.
func (in *Inbox) aroundEffects(ctx context.Context, items []item, perform func(sqldb.Querier) error, keep func(sqldb.Tx) error) error {
	if !in.dialect.spansEffects() {
		if err := perform(in.db); err != nil {
			return err
		}
		return in.db.Update(ctx, keep)
	}
	return in.update(ctx, func(tx sqldb.Tx) error {
		in.dialect.lock(tx, in.consumer, subjects(items))
		if err := perform(tx); err != nil {
			return err
		}
		return keep(tx)
	})
}

// stillUnknown leaves out what another process on the same SQLite file settled
// meanwhile: an event must not be handled and held.
func (in *Inbox) stillUnknown(ctx context.Context, tx sqldb.Tx, rows []aside) ([]aside, error) {
	if len(rows) == 0 || in.dialect.spansEffects() {
		return rows, nil
	}
	items := make([]item, len(rows))
	for i, row := range rows {
		items[i] = row.item
	}
	seen, err := in.look(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	var fresh []aside
	for _, row := range rows {
		if !seen.keys[row.key()] {
			fresh = append(fresh, row)
		}
	}
	return fresh, nil
}

// effects is what became of items whose effect is outside.
type effects struct {
	done       []item
	aside      []aside // per subject in order
	duplicates int64
	left       []item // not begun, because time was up; per subject in order
	outage     error  // the first one; the items it hit are in no list
}

// perform runs the handlers: subjects side by side, the items of one in order.
// What fails holds back the rest of its subject.
func (in *Inbox) perform(ctx context.Context, items []item, seen seen) effects {
	var result effects
	var order []string
	bySubject := map[string][]item{}
	for _, it := range items {
		switch seen.place(it) {
		case again:
			result.duplicates++
		case heldBehind:
			result.aside = append(result.aside, follow([]item{it})...)
		case ready:
			if bySubject[it.event.Subject] == nil {
				order = append(order, it.event.Subject)
			}
			bySubject[it.event.Subject] = append(bySubject[it.event.Subject], it)
		}
	}
	until := time.Now().Add(in.options.Timeout)
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(in.options.Concurrency)
	for _, subject := range order {
		group.Go(func() error {
			done, aside, left, outage := in.performInOrder(ctx, bySubject[subject], until)
			mu.Lock()
			defer mu.Unlock()
			result.done = append(result.done, done...)
			result.aside = append(result.aside, aside...)
			result.left = append(result.left, left...)
			if result.outage == nil {
				result.outage = outage
			}
			return nil
		})
	}
	_ = group.Wait() // the functions return none
	return result
}

func (in *Inbox) performInOrder(ctx context.Context, items []item, until time.Time) (done []item, rows []aside, left []item, outage error) {
	for n, it := range items {
		if time.Now().After(until) {
			return done, rows, items[n:], nil
		}
		err := in.call(ctx, func(ctx context.Context) error { return it.handler.outside(ctx, it.event) })
		if err == nil {
			done = append(done, it)
			continue
		}
		switch judgement := in.judge(ctx, err); judgement {
		case notItsFault:
			return done, rows, nil, err
		case giveUp: // parked: the ones after it flow
			rows = append(rows, in.failed(it, err, judgement))
		case tryAgain:
			row := in.failed(it, err, judgement)
			rows = append(rows, row)
			if row.status == statusHeld {
				return done, append(rows, follow(items[n+1:])...), nil, nil
			}
		}
	}
	return done, rows, nil, nil
}
