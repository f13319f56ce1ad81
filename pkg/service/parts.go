package service

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/histogram"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
)

// busMetrics shows what this service did with the bus.
func (s *Service) busMetrics(bus eventbus.Bus) {
	s.Gauge("orderflow_bus_unrouted", "Events of the whole system that nobody had subscribed to and that are kept aside.",
		func(ctx context.Context) (int, error) { return bus.Depth(ctx, eventbus.Unrouted) })
	reporter, ok := bus.(eventbus.Reporter)
	if !ok {
		return
	}
	type stats = eventbus.Stats
	show(s, func(context.Context) (stats, error) { return reporter.Stats(), nil },
		counter("orderflow_bus_published_total", "Events stored durably by the bus.", func(b stats) int64 { return b.Published }),
		counter("orderflow_bus_unknown_outcomes_total", "Publishes sent again because their outcome was unknown.", func(b stats) int64 { return b.UnknownOutcomes }),
		counter("orderflow_bus_unroutable_total", "Commands that no queue took.", func(b stats) int64 { return b.Unroutable }),
		counter("orderflow_bus_delivered_total", "Deliveries handed out, repetitions included.", func(b stats) int64 { return b.Delivered }),
		counter("orderflow_bus_redelivered_total", "Deliveries that may have been handed out before.", func(b stats) int64 { return b.Redelivered }),
		counter("orderflow_bus_malformed_total", "Deliveries that were no valid envelope.", func(b stats) int64 { return b.Malformed }),
		counter("orderflow_bus_acknowledged_total", "Deliveries removed from their queue.", func(b stats) int64 { return b.Acknowledged }),
		counter("orderflow_bus_handler_failures_total", "Batches whose handler failed.", func(b stats) int64 { return b.HandlerFailures }),
		counter("orderflow_bus_reconnects_total", "Connections made after the first.", func(b stats) int64 { return b.Reconnects }),
		gauge("orderflow_bus_in_flight", "Events of publishes that have not returned yet.", func(b stats) int64 { return b.InFlight }),
		gauge("orderflow_bus_blocked", "1 while the broker refuses to take events.", func(b stats) float64 { return yes(b.Blocked) }),
		counter("orderflow_bus_blocked_seconds_total", "How long the broker has refused to take events since the start of the process.",
			func(b stats) float64 { return b.BlockedFor.Seconds() }),
		distribution("orderflow_bus_confirm_seconds", "Time from sending an event to the bus's confirm.", func(b stats) histogram.Histogram { return b.ConfirmTime }),
		distribution("orderflow_bus_handler_seconds", "Time of one attempt of the handler at a batch, failed ones included.",
			func(b stats) histogram.Histogram { return b.HandlerTime }),
		distribution("orderflow_bus_lag_seconds", "Age of an event when it was acknowledged.", func(b stats) histogram.Histogram { return b.Lag }),
	)
}

// queueMetrics shows what waits for this service at the bus.
func (s *Service) queueMetrics(bus eventbus.Bus) {
	s.Gauge("orderflow_queue_depth", "Events waiting in the service's queue.",
		func(ctx context.Context) (int, error) { return bus.Depth(ctx, s.name) })
	s.Gauge("orderflow_queue_dead_depth", "Events the broker has given up on and that are not parked yet.",
		func(ctx context.Context) (int, error) { return bus.Depth(ctx, s.name+eventbus.DeadSuffix) })
}

// inboxMetrics shows what this service reads, and what it did with the events it
// got.
func (s *Service) inboxMetrics(in *inbox.Inbox) {
	reads := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "orderflow_inbox_reads", Help: "1 for each type of event that the service subscribes to.",
	}, []string{"type"})
	for _, pattern := range in.Patterns() {
		reads.WithLabelValues(pattern).Set(1)
	}
	s.Metrics.MustRegister(reads)
	type stats = inbox.Stats
	show(s, func(context.Context) (stats, error) { return in.Stats(), nil },
		counter("orderflow_inbox_handled_total", "Events whose effect committed.", func(i stats) int64 { return i.Handled }),
		counter("orderflow_inbox_duplicates_total", "Events that came again.", func(i stats) int64 { return i.Duplicates }),
		counter("orderflow_inbox_unknown_total", "Events without a handler, acknowledged and forgotten.", func(i stats) int64 { return i.Unknown }),
		counter("orderflow_inbox_failed_total", "Attempts that failed.", func(i stats) int64 { return i.Failed }),
		counter("orderflow_inbox_held_total", "Events put aside, because they failed or were behind one that did.", func(i stats) int64 { return i.Held }),
		counter("orderflow_inbox_parked_total", "Events left to a person.", func(i stats) int64 { return i.Parked }),
		counter("orderflow_inbox_dead_total", "Those among them that the broker had given up on.", func(i stats) int64 { return i.Dead }),
	)
	show(s, func(context.Context) (inbox.Metrics, error) { return in.Metrics(), nil },
		distribution("orderflow_inbox_handler_seconds", "Time of one call of a handler, failed ones included.",
			func(m inbox.Metrics) histogram.Histogram { return m.HandlerSeconds }),
		distribution("orderflow_inbox_lag_seconds", "Age of an event when its effect committed.",
			func(m inbox.Metrics) histogram.Histogram { return m.LagSeconds }),
		distribution("orderflow_inbox_attempts", "Attempts that a handled event took.",
			func(m inbox.Metrics) histogram.Histogram { return m.Attempts }),
	)
	show(s, in.Waiting,
		gauge("orderflow_inbox_held", "Events that wait for another attempt, or behind one that does.", func(w inbox.Waiting) int { return w.Held }),
		gauge("orderflow_inbox_held_age_seconds", "How long the oldest of them has waited.", func(w inbox.Waiting) float64 { return age(w.OldestHeld) }),
		gauge("orderflow_inbox_parked", "Events that wait for a person.", func(w inbox.Waiting) int { return w.Parked }),
	)
}

// outboxMetrics shows how far the service's own events have come.
func (s *Service) outboxMetrics(out *outbox.Outbox) {
	type stats = outbox.Stats
	show(s, func(context.Context) (stats, error) { return out.Stats(), nil },
		counter("orderflow_outbox_sent_total", "Events passed on to the bus.", func(o stats) int64 { return o.Sent }),
		counter("orderflow_outbox_parked_total", "Events the bus refused.", func(o stats) int64 { return o.Parked }),
		counter("orderflow_outbox_failures_total", "Attempts to read, publish or mark that did not work.", func(o stats) int64 { return o.Failures }),
		gauge("orderflow_outbox_streaming", "1 while PostgreSQL streams the outbox to this process.", func(o stats) float64 { return yes(o.Streaming) }),
		gauge("orderflow_outbox_slot_kept_bytes", "Log that PostgreSQL keeps for the replication slot of the outbox.", func(o stats) int64 { return o.SlotKept }),
	)
	show(s, out.Waiting,
		gauge("orderflow_outbox_pending", "Events that wait to be passed on.", func(w outbox.Waiting) int { return w.Pending }),
		gauge("orderflow_outbox_pending_age_seconds", "How long the oldest of them has waited.", func(w outbox.Waiting) float64 { return age(w.Oldest) }),
		gauge("orderflow_outbox_parked", "Events the bus refused that wait for a person.", func(w outbox.Waiting) int { return w.Parked }),
	)
}

// relayMetrics shows how far announcing has come.
func (s *Service) relayMetrics(r *relay.Relay) {
	type stats = relay.Stats
	show(s, func(context.Context) (stats, error) { return r.Stats(), nil },
		counter("orderflow_relay_published_total", "Integration events confirmed by the bus.", func(r stats) int64 { return r.Published }),
		counter("orderflow_relay_parked_total", "Committed events that could not be announced.", func(r stats) int64 { return r.Parked }),
	)
	show(s, func(context.Context) (*relay.Relay, error) { return r, nil },
		gauge("orderflow_relay_active", "1 in the process that publishes, 0 in those that stand by.", func(r *relay.Relay) float64 { return yes(r.Active()) }),
		gauge("orderflow_relay_stalled_seconds", "How long the relay has been behind the log, or has failed, without getting any further.",
			func(r *relay.Relay) float64 { return r.Stalled().Seconds() }),
	)
	show(s, r.Lag,
		gauge("orderflow_relay_lag_positions", "Positions of the event store's log that are not announced yet.", func(lag int64) int64 { return lag }))
	show(s, r.ParkedCount,
		gauge("orderflow_relay_parked", "Committed events that wait for a person.", func(parked int) int { return parked }))
}

// age is how long ago something was, in seconds; 0 when it never was.
func age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, time.Since(since).Seconds())
}
