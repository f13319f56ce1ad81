package inbox

import (
	"context"
	"sort"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// gather divides items into calls of their handlers. Items of a batch handler
// share a call where the order within each subject allows it, and a call never
// has two items of one subject. So calls may overtake each other, but events of
// one subject never do.
func gather(items []item) [][]item {
	calls := make([][]item, 0, len(items))
	next := make(map[string]int, len(items)) // by subject: the first call that comes after its last item
	of := map[*handler][]int{}               // by batch handler: its calls, growing
	for _, it := range items {
		subject := it.event.Subject
		at := len(calls)
		if it.handler.batched {
			its := of[it.handler]
			if n := sort.SearchInts(its, next[subject]); n < len(its) {
				at = its[n]
			} else {
				of[it.handler] = append(its, at)
			}
		}
		if at == len(calls) {
			calls = append(calls, nil)
		}
		calls[at] = append(calls[at], it)
		next[subject] = at + 1
	}
	return calls
}

// handleTogether makes one call of a handler. guilty is the item whose fault an
// error is, or nil when it could be any of several.
func (in *Inbox) handleTogether(ctx context.Context, tx sqldb.Tx, items []item) (guilty *item, err error) {
	events := make([]eventbus.Event, len(items))
	for i, it := range items {
		events[i] = it.event
	}
	index := -1
	err = in.call(ctx, func(ctx context.Context) error {
		var err error
		if index, err = items[0].handler.inside(ctx, tx, events); err == nil {
			err = ctx.Err() // it paid no heed, and may have cost the transaction
		}
		return err
	})
	switch {
	case err == nil:
		in.disturbed(tx, in.personal(items))
		return nil, nil
	case len(items) == 1:
		return &items[0], err
	case index >= 0:
		return &items[index], err
	default:
		return nil, err
	}
}
