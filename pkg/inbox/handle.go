package inbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
)

// atOnce bounds the events of one transaction.
const atOnce = 500

// Handle is the eventbus.Handler to subscribe with. It returns nil when every
// event of the batch is settled for good: handled, held, parked, recognised as
// a duplicate, or without a handler. It returns an error when the consumer
// cannot work at the moment; what was settled by then is recognised when the
// batch comes again.
func (in *Inbox) Handle(ctx context.Context, batch []eventbus.Delivery) error {
	in.busy.Add(1)
	defer in.busy.Add(-1)
	err := in.handle(ctx, in.sort(batch))
	in.noteBatch(ctx, err)
	if err != nil {
		return fmt.Errorf("inbox %s: %w", in.consumer, err)
	}
	return nil
}

// sort finds the handlers; events without one are done with.
func (in *Inbox) sort(batch []eventbus.Delivery) []item {
	now := time.Now()
	items := make([]item, 0, len(batch))
	for n, delivery := range batch {
		i := newItem(delivery, now, n)
		if i.malformed == nil {
			var known bool
			if i.handler, known = in.routes.find(i.event.Type); !known {
				in.counters.unknown.Add(1)
				continue
			}
		}
		items = append(items, i)
	}
	return items
}

// handle settles one run of consecutive items of the same kind after the other,
// so that the order within each subject stays as it was delivered.
func (in *Inbox) handle(ctx context.Context, items []item) error {
	for len(items) > 0 {
		n := 1
		for n < len(items) && n < atOnce && items[n].kind() == items[0].kind() {
			n++
		}
		var err error
		switch run := items[:n]; items[0].kind() {
		case malformedKind:
			err = in.parkMalformed(ctx, run)
		case outsideKind:
			err = in.handleOutside(ctx, run)
		default:
			err = in.handleInLanes(ctx, run)
		}
		if err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}
