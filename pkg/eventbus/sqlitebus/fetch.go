package sqlitebus

import (
	"context"
	"fmt"

	"orderflow/pkg/eventbus"
)

// fetch reads the next batch: what is there, oldest first, at most a batch. It
// follows the primary key of delivery, so that it costs the same however much
// is waiting. Messages become visible in the order of their numbers, since one
// transaction writes at a time; so nothing can appear behind the last one taken.
func (s *subscription) fetch(ctx context.Context) (batch []eventbus.Delivery, messages []int64, err error) {
	// The context is not passed on: a query takes well under a millisecond, and
	// watching the context would cost more than that.
	rows, err := s.bus.fetch.QueryContext(context.WithoutCancel(ctx), s.id.Load(), s.taken.Load(), s.queue.BatchSize)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch: %w", err)
	}
	err = each(rows, func() error {
		seq, delivery, err := scanDelivery(rows)
		delivery.Redelivered = seq <= s.handed
		batch = append(batch, delivery)
		messages = append(messages, seq)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("fetch: %w", err)
	}
	return batch, messages, nil
}
