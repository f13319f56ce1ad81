package sqlitebus

import (
	"context"
	"fmt"

	"orderflow/pkg/eventbus"
)

// fetchQuery follows the primary key of delivery, so that a batch costs the
// same however much is waiting. It is read in the order it is wanted in, without
// a sort, and shows a delivery whose message a damaged file has lost.
const fetchQuery = `SELECT delivery.lost, ` + messageColumnNames + ` FROM delivery
	LEFT JOIN message ON message.seq = delivery.message
	WHERE delivery.queue = ? AND delivery.message > ? ORDER BY delivery.message LIMIT ?`

// batch is what the handler gets at once.
type batch struct {
	deliveries []eventbus.Delivery
	messages   []int64 // their numbers, growing
	lost       int64   // by how many consumers the first was taken alone
}

// fetch reads the next batch: what is there, oldest first, at most a batch, and
// one alone while there are suspects. Messages become visible in the order of
// their numbers, since one transaction writes at a time; so nothing can appear
// behind the last one taken.
func (s *subscription) fetch(ctx context.Context) (b batch, err error) {
	most := s.queue.BatchSize
	if s.taken.Load() < s.single {
		most = 1
	}
	// The context is not passed on: a query takes well under a millisecond, and
	// watching the context would cost more than that.
	rows, err := s.bus.fetch.QueryContext(context.WithoutCancel(ctx), s.id.Load(), s.taken.Load(), most)
	if err != nil {
		return b, fmt.Errorf("fetch: %w", err)
	}
	err = each(rows, func() error {
		seq, lost, delivery, err := scanDelivery(rows)
		delivery.Redelivered = seq <= s.handed
		if len(b.messages) == 0 {
			b.lost = lost
		}
		b.deliveries = append(b.deliveries, delivery)
		b.messages = append(b.messages, seq)
		return err
	})
	if err != nil {
		return b, fmt.Errorf("fetch: %w", err)
	}
	return b, nil
}
