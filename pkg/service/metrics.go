package service

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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

// measure observes how long requests take, by route, method and status. Streams
// of server-sent events go on for as long as somebody looks on, which says
// nothing about the service: they are left out.
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
			if strings.HasPrefix(observed.Header().Get("Content-Type"), "text/event-stream") {
				return
			}
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
