package service

import (
	"context"
	"errors"
	"sync/atomic"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
)

// deliveryBatch is how many events the bus hands to the inbox at once: what one
// transaction takes.
const deliveryBatch = 200

// Consume delivers the events that the inbox has handlers for from the bus to
// the inbox, and keeps the inbox's own work going. A subscription that does not
// take deliveries makes the service not ready.
func (s *Service) Consume(bus eventbus.Bus, in *inbox.Inbox) {
	s.Loop("inbox", in.Run)
	s.Check("inbox: held events", func(context.Context) error { return in.Ready() })
	s.inboxMetrics(in)

	var current atomic.Pointer[eventbus.Subscription]
	s.Loop("consumer", func(ctx context.Context) error {
		queue := eventbus.Queue{Name: s.name, Patterns: in.Patterns(), BatchSize: deliveryBatch}
		subscription, err := bus.Subscribe(ctx, queue, in.Handle)
		if err != nil {
			return err
		}
		current.Store(&subscription)
		defer func() {
			current.Store(nil)
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.StopWithin)
			defer cancel()
			if err := subscription.Close(stop); err != nil {
				s.Log.WarnContext(ctx, "closing the subscription", "error", err)
			}
		}()
		<-ctx.Done()
		return nil
	})
	s.Check("consumer: deliveries", func(context.Context) error {
		subscription := current.Load()
		if subscription == nil {
			return errors.New("not subscribed")
		}
		return (*subscription).Ready()
	})
	s.depthMetric(bus, s.name)
}

// Publish keeps the outbox's publisher going.
func (s *Service) Publish(out *outbox.Outbox) {
	s.Loop("outbox", out.Run)
	s.Check("outbox: publishing", func(context.Context) error { return out.Ready() })
	s.outboxMetrics(out)
}

// Relay keeps a relay going.
func (s *Service) Relay(r *relay.Relay) {
	s.Loop("relay", r.Run)
	s.Check("relay: publishing", func(context.Context) error { return r.Ready() })
	s.relayMetrics(r)
}
