package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// Publish sends the events in order and returns once the broker has confirmed
// all of them, waiting out lost connections and a broker that blocks for as
// long as ctx allows. Events in doubt are sent again with the same ids.
//
// A command that no queue takes makes the call return eventbus.ErrUnroutable,
// naming it, after everything else was confirmed.
func (b *Bus) Publish(ctx context.Context, events ...eventbus.Event) error {
	rest := make([]outgoing, 0, len(events))
	for _, event := range events {
		if err := event.Validate(); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		rest = append(rest, b.names.outgoing(event))
	}
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	if len(rest) == 0 {
		return nil
	}
	b.count.InFlight.Add(int64(len(rest)))
	defer b.count.InFlight.Add(-int64(len(rest)))
	settled, refused, err := b.deliver(ctx, rest)
	b.count.Published.Add(int64(settled - len(refused)))
	b.count.Unroutable.Add(int64(len(refused)))
	switch {
	case errors.Is(err, eventbus.ErrClosed):
		return err
	case err != nil:
		return fmt.Errorf("publish %d events from %s %s: %w", len(events), events[0].Type, events[0].ID, err)
	}
	return errors.Join(refused...)
}

// deliver publishes until everything is settled or ctx ends. settled counts the
// certain ones; those among them that no queue takes are in refused.
func (b *Bus) deliver(ctx context.Context, messages []outgoing) (settled int, refused []error, err error) {
	pauses := handover.Pauses(5*time.Millisecond, time.Second)
	for {
		s, err := b.publisher.session(ctx)
		if err != nil {
			return settled, refused, err
		}
		n, unroutable, err := s.pipe.publish(ctx, messages[settled:])
		settled += n
		refused = append(refused, unroutable...)
		if err == nil || !errors.Is(err, errUnknown) {
			return settled, refused, err
		}
		b.count.UnknownOutcomes.Add(int64(len(messages) - settled))
		if n > 0 {
			pauses.Reset()
		}
		b.log.InfoContext(ctx, "publishing again with the same ids", "events", len(messages)-settled,
			"first", messages[settled].publishing.MessageId, "error", err)
		if !handover.Pause(ctx, pauses.NextBackOff()) {
			return settled, refused, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
