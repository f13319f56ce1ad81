package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// lockSuffix names the queue whose declarer may change the bindings.
const lockSuffix = ".bindings.lock"

// declareConsumer makes the queue, binds what is wanted, and unbinds what was
// wanted before. Only the holder of the queue's lock does so at a time.
func (b *Bus) declareConsumer(ctx context.Context, s *session, q eventbus.Queue) error {
	queue := b.names.queue(q.Name)
	return b.locked(ctx, s, queue, func(ctx context.Context, ch *amqp.Channel) error {
		if err := b.declare(ch, s, queue); err != nil || q.Reserved() {
			return err
		}
		r, err := b.openRecord(ctx, s, queue)
		if err == nil {
			defer r.close()
			err = b.extend(ctx, r, q.Patterns)
		}
		if err != nil {
			b.log.ErrorContext(ctx, "the record of bindings cannot be used; patterns of earlier versions stay bound",
				"queue", q.Name, "error", err)
			return b.bindAll(ch, queue, q.Patterns)
		}
		if err := b.bindAll(ch, queue, q.Patterns); err != nil {
			return err
		}
		for _, pattern := range r.patterns {
			if !slices.Contains(q.Patterns, pattern) {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := b.names.unbind(ch, queue, pattern); err != nil {
					return err
				}
			}
		}
		if err := b.replace(ctx, r, q.Patterns); err != nil {
			b.log.WarnContext(ctx, "the record of bindings says more than is bound", "queue", q.Name, "error", err)
		}
		return nil
	})
}

// restoreConsumer puts the queue and its bindings back where a broker has lost
// them. It unbinds nothing: a newer version of this service may already run,
// and what it wants is not ours to remove. Nor does it touch the record, since
// nothing may stand between a consumer and what waits for it.
func (b *Bus) restoreConsumer(ctx context.Context, s *session, q eventbus.Queue) error {
	return s.onChannel(ctx, func(ch *amqp.Channel) error { return b.restore(ch, s, q) })
}

// remakeConsumer is restoreConsumer for a queue that somebody has removed. All
// instances notice that at once, so they take turns: RabbitMQ 3.10 closes the
// connection (541) of who consumes a queue that another is only just declaring.
func (b *Bus) remakeConsumer(ctx context.Context, s *session, q eventbus.Queue) error {
	return b.locked(ctx, s, b.names.queue(q.Name), func(_ context.Context, ch *amqp.Channel) error { return b.restore(ch, s, q) })
}

func (b *Bus) restore(ch *amqp.Channel, s *session, q eventbus.Queue) error {
	queue := b.names.queue(q.Name)
	if err := b.declare(ch, s, queue); err != nil {
		return err
	}
	return b.bindAll(ch, queue, q.Patterns)
}

func (b *Bus) declare(ch *amqp.Channel, s *session, queue string) error {
	if err := b.names.declareExchanges(s, ch); err != nil || queue == b.names.unrouted() {
		return err // that queue was made with them
	}
	return b.names.declareQueue(ch, s.version, queue, b.cfg.DeliveryLimit)
}

func (b *Bus) bindAll(ch *amqp.Channel, queue string, patterns []string) error {
	for _, pattern := range patterns {
		if err := b.names.bind(ch, queue, pattern); err != nil {
			return err
		}
	}
	return nil
}

// locked runs fn, on a channel of its own, while no other instance does so for
// the same queue. The lock is an exclusive queue, which a broker removes with
// the connection that has declared it.
//
// A request without an answer is given up, and the lock with it, so that other
// instances need not wait for that answer. If it comes after all, fn goes on: it
// must look at the context it is given before it takes anything away.
func (b *Bus) locked(ctx context.Context, s *session, queue string, fn func(context.Context, *amqp.Channel) error) error {
	select {
	case b.declaring <- struct{}{}: // an exclusive queue keeps out other connections only
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	unlock := func() error {
		defer func() { <-b.declaring }()
		// On another channel: the one of fn may be closed, or still wait.
		return s.onChannel(context.WithoutCancel(ctx), func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(queue+lockSuffix, false, false, false)
			return err
		})
	}
	pauses := handover.Pauses(5*time.Millisecond, 250*time.Millisecond)
	for {
		err := s.holding(ctx, queue, fn)
		if err == nil {
			return unlock()
		}
		if errors.Is(err, errLocked) {
			if handover.Pause(ctx, pauses.NextBackOff()) {
				continue
			}
			<-b.declaring
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		go func() { _ = unlock() }() // at the latest, the end of the session does it
		return err
	}
}

// errLocked says that another connection holds the lock.
var errLocked = errors.New("the bindings are being changed by another instance")

// holding takes the lock and runs fn. It leaves the lock to who called it.
func (s *session) holding(ctx context.Context, queue string, fn func(context.Context, *amqp.Channel) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	return s.onChannel(ctx, func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(queue+lockSuffix, false, true, true, false, nil)
		var refusal *amqp.Error
		switch {
		case errors.As(err, &refusal) && refusal.Code == amqp.ResourceLocked:
			return fmt.Errorf("lock %q: %w: %w", queue, errLocked, err)
		case err != nil:
			return fmt.Errorf("lock %q: %w", queue, err)
		case ctx.Err() != nil: // nobody waits for it, or unlocks it, any more
			_, err := ch.QueueDelete(queue+lockSuffix, false, false, false)
			return err
		}
		return fn(ctx, ch)
	})
}

// removeConsumer deletes the queue, and its dead letters' queue if it is empty.
func (b *Bus) removeConsumer(ctx context.Context, s *session, q eventbus.Queue) error {
	queue := b.names.queue(q.Name)
	return b.locked(ctx, s, queue, func(ctx context.Context, ch *amqp.Channel) error {
		if q.Reserved() {
			if err := b.declare(ch, s, queue); err != nil {
				return err
			}
			if _, err := ch.QueuePurge(queue, false); err != nil {
				return fmt.Errorf("purge queue %q: %w", queue, err)
			}
			return nil
		}
		doomed := []string{queue}
		dead, err := declareQuorum(ch, queue+eventbus.DeadSuffix, deadArguments())
		if err != nil {
			return err
		}
		if dead.Messages == 0 && dead.Consumers == 0 {
			doomed = append(doomed, dead.Name)
		}
		for _, name := range append(doomed, queue+recordSuffix) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if _, err := ch.QueueDelete(name, false, false, false); err != nil {
				return fmt.Errorf("delete queue %q: %w", name, err)
			}
		}
		return nil
	})
}
