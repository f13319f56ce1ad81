package inbox

import (
	"context"
	"hash/maphash"

	"golang.org/x/sync/errgroup"
)

// handleInLanes divides items by subject and handles the parts side by side.
// It returns when all are through; when one could not be handled, the others
// are done all the same, and are recognised when the batch comes again.
func (in *Inbox) handleInLanes(ctx context.Context, items []item) error {
	if in.options.Lanes == 1 || len(items) == 1 {
		return in.handleInside(ctx, items)
	}
	lanes := make([][]item, in.options.Lanes)
	for _, it := range items {
		lane := in.lane(it.event.Subject)
		lanes[lane] = append(lanes[lane], it)
	}
	var group errgroup.Group
	for _, lane := range lanes {
		if len(lane) > 0 {
			group.Go(func() error { return in.handleInside(ctx, lane) })
		}
	}
	return group.Wait()
}

func (in *Inbox) lane(subject string) int {
	return int(maphash.String(in.seed, subject) % uint64(in.options.Lanes)) //nolint:gosec // there are few lanes
}
