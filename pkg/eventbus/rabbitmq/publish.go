package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	unconfirmed, refused, err := b.deliver(ctx, rest)
	b.count.Published.Add(int64(len(events) - unconfirmed - len(refused)))
	b.count.Unroutable.Add(int64(len(refused)))
	switch {
	case errors.Is(err, eventbus.ErrClosed):
		return err
	case err != nil:
		return fmt.Errorf("publish %d events from %s %s, %d of them unconfirmed: %w",
			len(events), events[0].Type, events[0].ID, unconfirmed, err)
	}
	return errors.Join(refused...)
}

// deliver publishes until everything is settled or ctx ends, and then says how
// many messages are not. Those that no queue takes are in refused. What is
// in doubt is sent again, with growing pauses, and nothing else: an event that
// the broker does not take for an hour keeps back the later ones of its subject
// in the same call, and no others.
func (b *Bus) deliver(ctx context.Context, messages []outgoing) (unsettled int, refused []error, err error) {
	pauses := handover.Pauses(5*time.Millisecond, 5*time.Second)
	var careful map[string]bool
	for {
		s, err := b.publisher.session(ctx)
		if err != nil {
			return len(messages), refused, err
		}
		result := s.pipe.publish(ctx, messages, careful)
		refused = append(refused, result.refused...)
		if len(result.doubtful) == 0 {
			return 0, refused, nil // whatever was lost, was lost after the last confirm
		}
		if !errors.Is(result.err, errUnknown) {
			return len(result.doubtful), refused, result.err
		}
		b.count.UnknownOutcomes.Add(int64(result.unknown))
		if len(result.doubtful) < len(messages) {
			pauses.Reset()
		}
		messages, careful = result.doubtful, result.careful
		if i := b.suspects.ask(messages); i >= 0 {
			answer := b.tryAlone(ctx, s, messages[i])
			b.count.UnknownOutcomes.Add(int64(answer.unknown))
			careful = merged(careful, answer.careful)
			if len(answer.doubtful) == 0 {
				refused = append(refused, answer.refused...)
				messages = slices.Delete(messages, i, i+1)
				pauses.Reset()
			}
			if len(messages) == 0 {
				return 0, refused, nil
			}
		}
		b.log.InfoContext(ctx, "publishing again with the same ids", "events", len(messages),
			"first", messages[0].publishing.MessageId, "error", result.err)
		if !handover.Pause(ctx, pauses.NextBackOff()) {
			return len(messages), refused, fmt.Errorf("%w: %w", context.Cause(ctx), result.err)
		}
	}
}

// tryAlone publishes a message of a suspect on a connection of its own, so that
// nobody else's wait behind it, and notes whether the broker answered. It ends
// with the shared session at the latest, and so when the bus is closed.
func (b *Bus) tryAlone(ctx context.Context, shared *session, m outgoing) landed {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(shared.gone, cancel)()
	lone := newLink(b, "publisher of what had no answer", b.publisher.urls, func(s *session) error {
		return b.setUpPublisher(s, &suspects{}) // for this pipe the message is like any other
	})
	result := landed{doubtful: []outgoing{m}}
	s, err := lone.connect(ctx, shared.url)
	if err == nil {
		result = s.pipe.publish(ctx, []outgoing{m}, nil)
		if len(result.doubtful) > 0 {
			s.fail(errSilent) // a broker that does not answer would not say goodbye either
		}
		s.close()
	}
	b.suspects.answer(m.key, len(result.doubtful) == 0 || len(result.careful) > 0) // a refusal is an answer
	return result
}

func merged(a, b map[string]bool) map[string]bool {
	if a == nil {
		return b
	}
	maps.Copy(a, b)
	return a
}
