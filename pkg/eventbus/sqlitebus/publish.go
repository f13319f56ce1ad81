package sqlitebus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"orderflow/pkg/eventbus"
)

// Publish stores the events in one transaction, all or none, shared with
// whatever else is being published at that moment, and returns once it is on
// the disk. While another process holds the file it waits as long as ctx
// allows. A command nobody listens for refuses the whole call with
// eventbus.ErrUnroutable.
func (b *Bus) Publish(ctx context.Context, events ...eventbus.Event) error {
	for _, event := range events {
		if err := event.Validate(); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	if b.isClosed() {
		return eventbus.ErrClosed
	}
	if len(events) == 0 {
		return nil
	}
	b.count.InFlight.Add(int64(len(events)))
	defer b.count.InFlight.Add(-int64(len(events)))
	began := time.Now()
	err := b.writer.do(ctx, &job{publish: slices.Clone(events)})
	switch {
	case err == nil:
		b.count.ConfirmTime.Observe(time.Since(began).Seconds(), uint64(len(events)))
		b.count.Published.Add(int64(len(events)))
		return nil
	case errors.Is(err, eventbus.ErrUnroutable):
		b.count.Unroutable.Add(1)
		return err
	case errors.Is(err, eventbus.ErrClosed):
		return err
	}
	return fmt.Errorf("publish %d events from %s %s: %w", len(events), events[0].Type, events[0].ID, err)
}
