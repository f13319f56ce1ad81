package service

import (
	"context"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/pkg/histogram"
)

// figures is a part of a service at /metrics: its figures are read together,
// once for each scrape, so that they belong to the same moment.
type figures[S any] struct {
	read func(ctx context.Context) (S, error)
	all  []figure[S]
}

// figure is one of them, taken out of what was read.
type figure[S any] struct {
	desc *prometheus.Desc
	take func(desc *prometheus.Desc, s S) (prometheus.Metric, error)
	// failed stands for it when reading has failed; nil leaves it out.
	failed func(desc *prometheus.Desc) (prometheus.Metric, error)
}

// show adds a part of the service to /metrics. read has a second.
func show[S any](s *Service, read func(context.Context) (S, error), all ...figure[S]) {
	s.Metrics.MustRegister(figures[S]{read, all})
}

// Describe implements prometheus.Collector.
func (f figures[S]) Describe(out chan<- *prometheus.Desc) {
	for _, one := range f.all {
		out <- one.desc
	}
}

// Collect implements prometheus.Collector.
func (f figures[S]) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	read, failed := f.read(ctx)
	for _, one := range f.all {
		metric, err := prometheus.Metric(nil), error(nil)
		switch {
		case failed == nil:
			metric, err = one.take(one.desc, read)
		case one.failed != nil:
			metric, err = one.failed(one.desc)
		}
		if err != nil {
			metric = prometheus.NewInvalidMetric(one.desc, err)
		}
		if metric != nil {
			out <- metric
		}
	}
}

// counter is a number that only grows.
func counter[S any, N int64 | float64](name, help string, read func(S) N) figure[S] {
	return figure[S]{desc: prometheus.NewDesc(name, help, nil, nil), take: func(desc *prometheus.Desc, s S) (prometheus.Metric, error) {
		return prometheus.NewConstMetric(desc, prometheus.CounterValue, float64(read(s)))
	}}
}

// gauge is a number that goes up and down. It shows as NaN when it could not be
// read.
func gauge[S any, N int | int64 | float64](name, help string, read func(S) N) figure[S] {
	return figure[S]{
		desc: prometheus.NewDesc(name, help, nil, nil),
		take: func(desc *prometheus.Desc, s S) (prometheus.Metric, error) {
			return prometheus.NewConstMetric(desc, prometheus.GaugeValue, float64(read(s)))
		},
		failed: func(desc *prometheus.Desc) (prometheus.Metric, error) {
			return prometheus.NewConstMetric(desc, prometheus.GaugeValue, math.NaN())
		},
	}
}

// distribution is how values are spread.
func distribution[S any](name, help string, read func(S) histogram.Histogram) figure[S] {
	return figure[S]{desc: prometheus.NewDesc(name, help, nil, nil), take: func(desc *prometheus.Desc, s S) (prometheus.Metric, error) {
		h := read(s)
		return prometheus.NewConstHistogram(desc, h.Count, h.Sum, h.Buckets)
	}}
}

// yes is how Prometheus writes that something is so.
func yes(so bool) float64 {
	if so {
		return 1
	}
	return 0
}
