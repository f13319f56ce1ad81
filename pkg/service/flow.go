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
// the inbox, and keeps the inbox's own work going: trying again, and making what
// was erased unreadable in the database and the bus. What the broker has given up
// on, since it came back from this service too often, is parked in the inbox
// without being handled. A subscription that does not take deliveries makes the
// service not ready. What the inbox's handlers write is shown through the
// projection that is returned; see [Read].
func (s *Service) Consume(bus eventbus.Bus, in *inbox.Inbox) *Consumption {
	s.Loop("inbox", in.Run)
	s.Loop("scrubbing", func(ctx context.Context) error { return in.Scrub(ctx, bus.Scrub) })
	s.Check("inbox: held events", func(context.Context) error { return in.Ready() })
	s.inboxMetrics(in)

	s.consume(bus, "consumer", eventbus.Queue{Name: s.name, Patterns: in.Patterns(), BatchSize: deliveryBatch}, in.Handle)
	s.consume(bus, "dead deliveries", eventbus.Queue{Name: s.name + eventbus.DeadSuffix}, in.HandleDead)
	s.queueMetrics(bus)
	return s.consumption(bus, in)
}

// consume keeps a subscription going.
func (s *Service) consume(bus eventbus.Bus, name string, queue eventbus.Queue, handle eventbus.Handler) {
	var current atomic.Pointer[eventbus.Subscription]
	s.Loop(name, func(ctx context.Context) error {
		subscription, err := bus.Subscribe(ctx, queue, handle)
		if err != nil {
			return err
		}
		current.Store(&subscription)
		defer func() {
			current.Store(nil)
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.StopWithin)
			defer cancel()
			if err := subscription.Close(stop); err != nil {
				s.Log.WarnContext(ctx, "closing the subscription", "queue", queue.Name, "error", err)
			}
		}()
		<-ctx.Done()
		return nil
	})
	s.Check(name+": deliveries", func(context.Context) error {
		subscription := current.Load()
		if subscription == nil {
			return errors.New("not subscribed")
		}
		return (*subscription).Ready()
	})
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
