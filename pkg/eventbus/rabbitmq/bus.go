package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// Bus is a pair of connections to a broker, one to publish and one to consume:
// a broker that is short of memory stops reading from those that publish, and
// acknowledgements must go on. Safe for concurrent use.
type Bus struct {
	cfg       Config
	names     names
	log       *slog.Logger
	count     handover.Counters
	suspects  suspects
	publisher *link
	consumer  *link
	declaring chan struct{} // held while topology is being changed

	mu            sync.Mutex
	closed        bool
	publishing    sync.WaitGroup
	subscriptions map[*subscription]struct{}

	stop  context.CancelFunc
	links sync.WaitGroup
}

var (
	_ eventbus.Bus      = (*Bus)(nil)
	_ eventbus.Reporter = (*Bus)(nil)
)

// Open checks the configuration, starts connecting, and returns without waiting
// for the broker: a service must be able to start while the broker is down.
// Until there is a connection Ready says why not, and Publish and Subscribe
// wait for it as long as their contexts allow. ctx is not kept.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open event bus: %w", err)
	}
	cfg, urls, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("open event bus: %w", err)
	}
	b := &Bus{
		cfg:           cfg,
		names:         names{cfg.Namespace},
		log:           cfg.Logger.With("bus", "rabbitmq"),
		declaring:     make(chan struct{}, 1),
		subscriptions: map[*subscription]struct{}{},
	}
	b.publisher = newLink(b, "publisher", urls, func(s *session) error { return b.setUpPublisher(s, &b.suspects) })
	b.consumer = newLink(b, "consumer", urls, func(*session) error { return nil })
	var connecting context.Context
	connecting, b.stop = context.WithCancel(context.Background())
	b.links.Go(func() { b.publisher.run(connecting) })
	b.links.Go(func() { b.consumer.run(connecting) })
	return b, nil
}

func (b *Bus) setUpPublisher(s *session, known *suspects) error {
	ctx, cancel := context.WithTimeout(s.gone, b.cfg.DialTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = s.wire.Close() })() // else a channel without an answer is awaited for ever
	err := s.onChannel(ctx, func(ch *amqp.Channel) error { return b.names.declareExchanges(s, ch) })
	if err != nil {
		return err
	}
	s.pipe, err = openPipe(s, b.cfg.ConfirmTimeout, &b.count.ConfirmTime, known)
	return err
}

// Ready returns nil while both connections are up and the broker takes events.
func (b *Bus) Ready() error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return eventbus.ErrClosed
	}
	return errors.Join(b.publisher.ready(), b.consumer.ready())
}

// Depth asks the broker how many messages are ready in a queue. Besides the
// events being handled it leaves out those already sent to a consumer in
// advance, at most two batches for each.
func (b *Bus) Depth(ctx context.Context, queue string) (int, error) {
	if queue == eventbus.Unrouted {
		// Made with the publisher's connection, so that it always exists.
		if _, err := b.publisher.session(ctx); err != nil {
			return 0, fmt.Errorf("depth of %q: %w", queue, err)
		}
	}
	s, err := b.consumer.session(ctx)
	if err != nil {
		return 0, fmt.Errorf("depth of %q: %w", queue, err)
	}
	var depth int
	err = s.onChannel(ctx, func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(b.names.queue(queue), true, false, false, false, nil)
		depth = q.Messages
		if refusal := (*amqp.Error)(nil); errors.As(err, &refusal) && refusal.Code == amqp.NotFound {
			err = fmt.Errorf("%w: %w", eventbus.ErrNoQueue, err)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("depth of %q: %w", queue, err)
	}
	return depth, nil
}

// Stats reads the counters.
func (b *Bus) Stats() eventbus.Stats {
	stats := b.count.Stats()
	if s, _, _ := b.publisher.state(); s != nil {
		stats.Blocked = s.gate.reason() != ""
	}
	stats.BlockedFor = b.publisher.blocked.elapsed()
	return stats
}

// Close takes nothing new, ends every subscription, waits until what is being
// published is confirmed, and closes the connections. When ctx ends first,
// publishes on their way fail and their outcome is unknown.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	var running []*subscription
	for s := range b.subscriptions {
		running = append(running, s)
	}
	b.mu.Unlock()

	failures := make([]error, len(running))
	var closing sync.WaitGroup
	for i, s := range running {
		closing.Go(func() { failures[i] = s.Close(ctx) })
	}
	closing.Wait()
	published := make(chan struct{})
	go func() { b.publishing.Wait(); close(published) }()
	select {
	case <-published:
	case <-ctx.Done():
		failures = append(failures, fmt.Errorf("publishes on their way: %w", context.Cause(ctx)))
	}
	b.stop()
	b.links.Wait()
	<-published // nothing keeps them now
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("close event bus: %w", err)
	}
	return nil
}

// enter counts a publish in, so that Close can wait for it.
func (b *Bus) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return eventbus.ErrClosed
	}
	b.publishing.Add(1)
	return nil
}

func (b *Bus) leave() { b.publishing.Done() }
