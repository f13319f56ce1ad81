package share

import (
	"context"
	"errors"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// Share is one service's use of a bus. Safe for concurrent use.
type Share struct {
	bus   eventbus.Bus
	count handover.Counters
}

var (
	_ eventbus.Bus      = (*Share)(nil)
	_ eventbus.Reporter = (*Share)(nil)
)

// Of returns a new share of a bus.
func Of(bus eventbus.Bus) *Share { return &Share{bus: bus} }

// Publish is that of the bus. The time it takes counts as the time of the
// confirm, for each event.
func (s *Share) Publish(ctx context.Context, events ...eventbus.Event) error {
	s.count.InFlight.Add(int64(len(events)))
	defer s.count.InFlight.Add(-int64(len(events)))
	began := time.Now()
	err := s.bus.Publish(ctx, events...)
	switch {
	case err == nil:
		s.count.ConfirmTime.Observe(time.Since(began).Seconds(), uint64(len(events)))
		s.count.Published.Add(int64(len(events)))
	case errors.Is(err, eventbus.ErrUnroutable):
		s.count.Unroutable.Add(1)
	}
	return err
}

// Send is that of the bus; it is not counted.
func (s *Share) Send(ctx context.Context, queue string, events ...eventbus.Event) error {
	return s.bus.Send(ctx, queue, events...)
}

// Patterns is that of the bus.
func (s *Share) Patterns(ctx context.Context, queue string) ([]string, error) {
	return s.bus.Patterns(ctx, queue)
}

// Subscribe is that of the bus.
func (s *Share) Subscribe(ctx context.Context, q eventbus.Queue, h eventbus.Handler) (eventbus.Subscription, error) {
	return s.bus.Subscribe(ctx, q, s.count.Observed(h))
}

// Ready is that of the bus.
func (s *Share) Ready() error { return s.bus.Ready() }

// Depth is that of the bus.
func (s *Share) Depth(ctx context.Context, queue string) (int, error) { return s.bus.Depth(ctx, queue) }

// Erase is that of the bus.
func (s *Share) Erase(ctx context.Context, queue string, theirs func(eventbus.Delivery) bool) (int, error) {
	return s.bus.Erase(ctx, queue, theirs)
}

// Scrub is that of the bus.
func (s *Share) Scrub(ctx context.Context) error { return s.bus.Scrub(ctx) }

// Close leaves the bus open for the other services. Subscriptions are closed
// one by one, by those who have them.
func (s *Share) Close(context.Context) error { return nil }

// Stats reads the figures of this service. Publishes of unknown outcome and
// reconnects cannot be told apart by service: they are 0.
func (s *Share) Stats() eventbus.Stats {
	stats := s.count.Stats()
	if bus, ok := s.bus.(eventbus.Reporter); ok {
		whole := bus.Stats()
		stats.Blocked, stats.BlockedFor = whole.Blocked, whole.BlockedFor
	}
	return stats
}
