package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// subscription consumes one queue across any number of sessions.
type subscription struct {
	bus      *Bus
	queue    eventbus.Queue
	handler  handover.Handler
	life     *handover.Lifetime
	declared *session // the session in which the queue was last declared
	removed  bool     // somebody has removed it since
	fault    atomic.Pointer[error]
	current  atomic.Pointer[consumer]
}

var errNotConsuming = errors.New("not consuming yet")

// Subscribe declares the queue and starts its consumer. While there is no
// broker it waits as long as ctx allows; what the broker refuses for good, such
// as a queue that exists with other arguments, is returned at once.
//
// eventbus.Unrouted and a queue of dead letters are subscribed to without
// patterns.
func (b *Bus) Subscribe(ctx context.Context, q eventbus.Queue, h eventbus.Handler) (eventbus.Subscription, error) {
	q, err := q.Complete()
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer b.leave()
	s := &subscription{bus: b, queue: q, life: handover.NewLifetime()}
	s.handler = handover.Handler{Queue: q.Name, Handle: h, Log: b.log, Count: &b.count}
	s.fault.Store(&errNotConsuming)
	s.declared, err = b.onConsumer(ctx, func(session *session) error { return b.declareConsumer(ctx, session, q) })
	if err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", q.Name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, eventbus.ErrClosed
	}
	b.subscriptions[s] = struct{}{}
	go s.run()
	return s, nil
}

// onConsumer runs fn on the consuming connection, again if it is lost meanwhile.
func (b *Bus) onConsumer(ctx context.Context, fn func(*session) error) (*session, error) {
	pauses := handover.Pauses(20*time.Millisecond, time.Second)
	for {
		s, err := b.consumer.session(ctx)
		if err != nil {
			return nil, err
		}
		err = fn(s)
		if err == nil || hopeless(err) || errors.Is(err, eventbus.ErrClosed) || !handover.Pause(ctx, pauses.NextBackOff()) {
			return s, err
		}
	}
}

// Ready returns nil while deliveries are taken and handled.
func (s *subscription) Ready() error {
	if s.life.Stopping().Err() != nil {
		return eventbus.ErrClosed
	}
	if c := s.current.Load(); c != nil && c.alive.Err() != nil {
		// Its handler is still busy, and what it does will come again.
		return fmt.Errorf("consume %s: %w", s.queue.Name, context.Cause(c.alive))
	}
	if err := s.fault.Load(); err != nil {
		return fmt.Errorf("consume %s: %w", s.queue.Name, *err)
	}
	return s.handler.Failing()
}

func (s *subscription) Close(ctx context.Context) error {
	if err := s.life.Close(ctx); err != nil {
		return fmt.Errorf("close subscription %s: %w", s.queue.Name, err)
	}
	return nil
}

func (s *subscription) Unsubscribe(ctx context.Context) error {
	if err := s.Close(ctx); err != nil {
		return err
	}
	_, err := s.bus.onConsumer(ctx, func(session *session) error {
		return s.bus.removeConsumer(ctx, session, s.queue)
	})
	if err != nil {
		return fmt.Errorf("unsubscribe %s: %w", s.queue.Name, err)
	}
	return nil
}

// run consumes, and starts over whenever channel, consumer or connection is lost.
func (s *subscription) run() {
	defer func() {
		s.bus.mu.Lock()
		delete(s.bus.subscriptions, s)
		s.bus.mu.Unlock()
		s.life.Finish()
	}()
	stopping := s.life.Stopping()
	pauses := handover.Pauses(firstReconnect, mostReconnect)
	for stopping.Err() == nil {
		session, err := s.bus.consumer.session(stopping)
		began := time.Now()
		if err == nil {
			err = s.attach(stopping, session)
		}
		if stopping.Err() != nil {
			return
		}
		s.fault.Store(&err)
		if time.Since(began) > stable {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		s.bus.log.WarnContext(stopping, "consumer starts over", "queue", s.queue.Name,
			"pause", pause.Round(time.Millisecond), "error", err)
		handover.Pause(stopping, pause)
	}
}

// attach consumes within one session until something of it is lost.
func (s *subscription) attach(stopping context.Context, session *session) error {
	if s.declared != session {
		restore := s.bus.restoreConsumer
		if s.removed {
			restore = s.bus.remakeConsumer
		}
		if err := restore(stopping, session, s.queue); err != nil {
			return err
		}
		s.declared, s.removed = session, false
	}
	for wide := true; ; wide = false {
		starting := stopping
		if !wide {
			starting = s.life.Handling() // a single consumer that has begun is ended in order, not given up
		}
		c, err := consume(starting, session, s.bus.names.queue(s.queue.Name), s.queue.BatchSize, wide)
		if err != nil {
			s.declared, s.removed = nil, isRemoved(err)
			return err
		}
		s.fault.Store(nil)
		s.current.Store(c)
		err = c.run(stopping, s)
		s.fault.Store(&err) // before it is no longer the current one: Ready says no until there is another
		s.current.Store(nil)
		c.close()
		if errors.Is(err, errSuspect) {
			s.bus.log.WarnContext(stopping, "handing out one by one", "queue", s.queue.Name, "reason", err)
			continue
		}
		if err != nil && session.gone.Err() == nil {
			s.declared, s.removed = nil, isRemoved(err)
		}
		return err
	}
}

// isRemoved says that the queue that was to be consumed does not exist.
func isRemoved(err error) bool {
	var refusal *amqp.Error
	return errors.Is(err, errCancelled) || errors.As(err, &refusal) && refusal.Code == amqp.NotFound
}
