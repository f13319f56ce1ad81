package esdbserver

import (
	"context"
	"math"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// readAll sends events of all streams in the order in which they were written, and ends.
func (r *reader) readAll(ctx context.Context) error {
	from := r.from.at
	switch r.from.kind {
	case fromStart:
		from = 0
	case fromEnd:
		from = math.MaxInt64
	default:
		if err := r.log.CheckPosition(ctx, from); err != nil {
			return err
		}
	}
	for left := r.count; left > 0; {
		// With a filter there is no telling how many must be looked at: a full page then.
		limit := left
		if r.filter != nil {
			limit = math.MaxInt64
		}
		page, err := r.log.ReadAll(ctx, from, r.backwards, limit)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if eventlog.HiddenFromAll(e) || !r.filter.matches(e) {
				continue
			}
			if err := r.deliver(ctx, e); err != nil {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
		if !page.More {
			return nil
		}
		from = page.Next
	}
	return nil
}
