package inbox

import (
	"sync"
	"time"
)

// Metrics are the distributions since the start of the process, as a monitoring
// system takes them.
type Metrics struct {
	// HandlerSeconds is how long calls of handlers took, failed ones included.
	HandlerSeconds Histogram
	// LagSeconds is the time from an event's own time to the commit of its
	// effect, per event. Clocks of two machines are in it; below zero is zero.
	LagSeconds Histogram
	// Attempts is how many attempts an event took that was handled in the end.
	Attempts Histogram
}

// Histogram counts values by size.
type Histogram struct {
	Count uint64
	Sum   float64
	// Buckets counts, for each upper bound, the values that are not above it:
	// what prometheus.NewConstHistogram takes.
	Buckets map[float64]uint64
}

// Metrics reads the distributions. Safe for concurrent use.
func (in *Inbox) Metrics() Metrics {
	return Metrics{
		HandlerSeconds: in.metrics.handler.read(),
		LagSeconds:     in.metrics.lag.read(),
		Attempts:       in.metrics.attempts.read(),
	}
}

type metrics struct{ handler, lag, attempts histogram }

func newMetrics() metrics {
	return metrics{
		handler:  histogram{bounds: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5, 30}},
		lag:      histogram{bounds: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600}},
		attempts: histogram{bounds: []float64{1, 2, 3, 5, 10, 20}},
	}
}

// handled observes events whose effect has committed.
func (in *Inbox) handled(items []item, attempts int) {
	if len(items) == 0 {
		return
	}
	m, now := &in.metrics, time.Now()
	in.lastHandled.Store(now.UnixMicro())
	for _, it := range items {
		m.lag.observe(max(0, now.Sub(it.event.Time).Seconds()))
		m.attempts.observe(float64(attempts))
	}
}

// histogram is a [Histogram] as it is counted.
type histogram struct {
	bounds []float64

	mu     sync.Mutex
	counts [16]uint64 // one for each bound, and one for what is above them all
	sum    float64
}

func (h *histogram) observe(value float64) {
	class := 0
	for class < len(h.bounds) && value > h.bounds[class] {
		class++
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[class]++
	h.sum += value
}

func (h *histogram) read() Histogram {
	h.mu.Lock()
	defer h.mu.Unlock()
	read := Histogram{Sum: h.sum, Buckets: make(map[float64]uint64, len(h.bounds))}
	for class, bound := range h.bounds {
		read.Count += h.counts[class]
		read.Buckets[bound] = read.Count
	}
	read.Count += h.counts[len(h.bounds)]
	return read
}
