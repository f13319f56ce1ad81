package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// Send publishes the events to the default exchange, which puts them into the
// queue of that name and no other; like [Bus.Publish] it waits for the confirms,
// and sends again what is in doubt. The broker returns what no queue takes:
// eventbus.ErrNoQueue.
func (b *Bus) Send(ctx context.Context, queue string, events ...eventbus.Event) error {
	rest := make([]outgoing, 0, len(events))
	for _, event := range events {
		if err := event.Validate(); err != nil {
			return fmt.Errorf("send to %q: %w", queue, err)
		}
		event.Replayed = true
		m := b.names.outgoing(event)
		m.exchange, m.key = "", b.names.queue(queue)
		m.command = true // it has one addressee: nobody there is an error
		rest = append(rest, m)
	}
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	if len(rest) == 0 {
		return nil
	}
	unconfirmed, refused, err := b.deliver(ctx, rest)
	switch {
	case errors.Is(err, eventbus.ErrClosed):
		return err
	case err != nil:
		return fmt.Errorf("send %d events to %q, %d of them unconfirmed: %w", len(events), queue, unconfirmed, err)
	case len(refused) > 0:
		return fmt.Errorf("send %d events: %w: %q", len(events), eventbus.ErrNoQueue, queue)
	}
	return nil
}

// Patterns returns what the record of bindings says (see record), which AMQP
// itself does not tell: what is bound, and after a crash perhaps more. A queue
// without a record has none that are known.
func (b *Bus) Patterns(ctx context.Context, queue string) (patterns []string, err error) {
	s, err := b.consumer.session(ctx)
	if err != nil {
		return nil, fmt.Errorf("patterns of %q: %w", queue, err)
	}
	name := b.names.queue(queue)
	err = b.locked(ctx, s, name, func(ctx context.Context, ch *amqp.Channel) error {
		if err := there(ch, name); err != nil {
			return err
		}
		r, err := b.openRecord(ctx, s, name)
		if err != nil {
			return err
		}
		defer r.close()
		patterns = r.patterns
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("patterns of %q: %w", queue, err)
	}
	return patterns, nil
}

// there returns eventbus.ErrNoQueue when the broker has no queue of that name.
func there(ch *amqp.Channel, queue string) error {
	_, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if refusal := (*amqp.Error)(nil); errors.As(err, &refusal) && refusal.Code == amqp.NotFound {
		return fmt.Errorf("%w: %w", eventbus.ErrNoQueue, err)
	}
	return err
}
