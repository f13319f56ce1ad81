package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
)

// errGivenUp is the reason of an event that comes from a queue of dead letters.
var errGivenUp = errors.New("the broker gave it up: it was handed out and returned too often, as when it crashes its consumer")

// HandleDead is the eventbus.Handler for the queue of dead letters
// (eventbus.DeadSuffix), in which a broker keeps what came back from this
// consumer too often. An event in it most likely kills the process that
// touches it, so none is handled: each is parked at once, whatever its type,
// unless it is known already. The later ones of its subject flow. From then on
// a person decides, as about every other dead letter.
//
// It returns nil when every event of the batch is in the database.
func (in *Inbox) HandleDead(ctx context.Context, batch []eventbus.Delivery) error {
	now := time.Now()
	rows := make([]aside, len(batch))
	for n, delivery := range batch {
		it := newItem(delivery, now, n)
		reason := errGivenUp
		if it.malformed != nil {
			reason = fmt.Errorf("%w; and it is no valid event: %w", errGivenUp, it.malformed)
		}
		rows[n] = in.failed(it, reason, giveUp)
	}
	parked, err := in.putAside(ctx, rows)
	if err != nil {
		return fmt.Errorf("inbox %s: park %d dead letters of the broker: %w", in.consumer, len(batch), err)
	}
	in.counters.add(Stats{Dead: int64(parked)})
	return nil
}
