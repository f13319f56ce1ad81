package service

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
)

func newRegistry(name string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "orderflow_service_info", Help: "1 for the service that runs here.", ConstLabels: prometheus.Labels{"service": name},
	})
	info.Set(1)
	registry.MustRegister(info)
	return registry
}

func (s *Service) metricsHandler() http.HandlerFunc {
	return promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{Registry: s.Metrics}).ServeHTTP
}

// measure observes how long requests take, by route, method and status.
func (s *Service) measure(next http.Handler) http.Handler {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "orderflow_http_request_duration_seconds",
		Help:    "Time from the request's arrival to the end of its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"method", "route", "status"})
	s.Metrics.MustRegister(durations)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		observed := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			// Only what the service knows becomes a label: callers could invent any
			// number of methods and paths.
			method, route := "other", "unknown"
			if slices.Contains(methods(), r.Method) {
				method = r.Method
			}
			if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" {
				route = pattern
			}
			status := strconv.Itoa(cmp.Or(observed.Status(), http.StatusOK))
			durations.WithLabelValues(method, route, status).Observe(time.Since(began).Seconds())
		}()
		next.ServeHTTP(observed, r)
	})
}

// Count shows a number that only grows at /metrics. Names are unique in a service.
func (s *Service) Count(name, help string, read func() int64) {
	s.Metrics.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
}

// Gauge shows a number at /metrics that is asked for at each scrape, for a
// second at most; an error shows as NaN. Names are unique in a service.
func (s *Service) Gauge(name, help string, read func(context.Context) (int, error)) {
	s.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		n, err := read(ctx)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	}))
}

func (s *Service) busMetrics(bus eventbus.Bus) {
	s.Gauge("orderflow_bus_unrouted", "Events that nobody had subscribed to and that are kept aside.", func(ctx context.Context) (int, error) {
		return bus.Depth(ctx, eventbus.Unrouted)
	})
	reporter, ok := bus.(eventbus.Reporter)
	if !ok {
		return
	}
	for _, counter := range []struct {
		name, help string
		read       func(eventbus.Stats) int64
	}{
		{"published", "Events stored durably by the bus.", func(b eventbus.Stats) int64 { return b.Published }},
		{"unknown_outcomes", "Publishes sent again because their outcome was unknown.", func(b eventbus.Stats) int64 { return b.UnknownOutcomes }},
		{"unroutable", "Commands that no queue took.", func(b eventbus.Stats) int64 { return b.Unroutable }},
		{"delivered", "Deliveries handed out, repetitions included.", func(b eventbus.Stats) int64 { return b.Delivered }},
		{"redelivered", "Deliveries that may have been handed out before.", func(b eventbus.Stats) int64 { return b.Redelivered }},
		{"malformed", "Deliveries that were no valid envelope.", func(b eventbus.Stats) int64 { return b.Malformed }},
		{"handler_failures", "Batches whose handler failed.", func(b eventbus.Stats) int64 { return b.HandlerFailures }},
		{"reconnects", "Connections made after the first.", func(b eventbus.Stats) int64 { return b.Reconnects }},
	} {
		s.Count("orderflow_bus_"+counter.name+"_total", counter.help, func() int64 { return counter.read(reporter.Stats()) })
	}
	s.Gauge("orderflow_bus_in_flight", "Publishes that wait for the bus.", func(context.Context) (int, error) {
		return int(reporter.Stats().InFlight), nil
	})
	s.Gauge("orderflow_bus_blocked", "1 while the broker refuses to take events.", func(context.Context) (int, error) {
		if reporter.Stats().Blocked {
			return 1, nil
		}
		return 0, nil
	})
}

func (s *Service) depthMetric(bus eventbus.Bus, queue string) {
	s.Gauge("orderflow_queue_depth", "Events waiting in the service's queue.", func(ctx context.Context) (int, error) {
		return bus.Depth(ctx, queue)
	})
}

func (s *Service) inboxMetrics(in *inbox.Inbox) {
	s.Count("orderflow_inbox_handled_total", "Events whose effect committed.", func() int64 { return in.Stats().Handled })
	s.Count("orderflow_inbox_duplicates_total", "Events that came again.", func() int64 { return in.Stats().Duplicates })
	s.Count("orderflow_inbox_unknown_total", "Events without a handler.", func() int64 { return in.Stats().Unknown })
	s.Count("orderflow_inbox_failed_total", "Attempts that failed.", func() int64 { return in.Stats().Failed })
	s.Count("orderflow_inbox_parked_total", "Events left to a person.", func() int64 { return in.Stats().Parked })
	s.Gauge("orderflow_inbox_held", "Events that wait for another attempt.", func(ctx context.Context) (int, error) {
		held, _, err := in.Backlog(ctx)
		return held, err
	})
	s.Gauge("orderflow_inbox_parked", "Events that wait for a person.", func(ctx context.Context) (int, error) {
		_, parked, err := in.Backlog(ctx)
		return parked, err
	})
}

func (s *Service) outboxMetrics(out *outbox.Outbox) {
	s.Count("orderflow_outbox_sent_total", "Events passed on to the bus.", func() int64 { return out.Stats().Sent })
	s.Count("orderflow_outbox_parked_total", "Events the bus refused.", func() int64 { return out.Stats().Parked })
	s.Count("orderflow_outbox_failures_total", "Attempts to read, publish or mark that did not work.", func() int64 { return out.Stats().Failures })
	s.Gauge("orderflow_outbox_pending", "Events that wait to be passed on.", out.Pending)
	s.Gauge("orderflow_outbox_streaming", "1 while PostgreSQL streams the outbox to this process.", func(context.Context) (int, error) {
		if out.Stats().Streaming {
			return 1, nil
		}
		return 0, nil
	})
	s.Gauge("orderflow_outbox_slot_kept_bytes", "Log that PostgreSQL keeps for the replication slot of the outbox.", func(context.Context) (int, error) {
		return int(out.Stats().SlotKept), nil
	})
}

func (s *Service) relayMetrics(r *relay.Relay) {
	s.Count("orderflow_relay_published_total", "Integration events confirmed by the bus.", func() int64 { return r.Stats().Published })
	s.Count("orderflow_relay_parked_total", "Committed events that could not be announced.", func() int64 { return r.Stats().Parked })
	s.Gauge("orderflow_relay_parked", "Committed events that wait for a person.", r.ParkedCount)
	s.Gauge("orderflow_relay_lag_positions", "Positions of the event store's log that are not announced yet.", func(ctx context.Context) (int, error) {
		lag, err := r.Lag(ctx)
		return int(lag), err
	})
	s.Gauge("orderflow_relay_stalled_seconds", "For how long the relay has been behind the log without getting any further.", func(context.Context) (int, error) {
		return int(r.Stalled().Seconds()), nil
	})
	s.Gauge("orderflow_relay_active", "1 in the process that publishes, 0 in those that stand by.", func(context.Context) (int, error) {
		if r.Active() {
			return 1, nil
		}
		return 0, nil
	})
}
