package inbox

import (
	"time"

	"orderflow/pkg/histogram"
)

// Metrics are the distributions since the start of the process, as a monitoring
// system takes them.
type Metrics struct {
	// HandlerSeconds is how long calls of handlers took, failed ones included.
	HandlerSeconds histogram.Histogram
	// LagSeconds is the time from an event's own time to the commit of its
	// effect, per event. Clocks of two machines are in it; below zero is zero.
	LagSeconds histogram.Histogram
	// Attempts is how many attempts an event took that was handled in the end.
	Attempts histogram.Histogram
}

// Metrics reads the distributions. Safe for concurrent use.
func (in *Inbox) Metrics() Metrics {
	return Metrics{
		HandlerSeconds: in.metrics.handler.Read(),
		LagSeconds:     in.metrics.lag.Read(),
		Attempts:       in.metrics.attempts.Read(),
	}
}

type metrics struct{ handler, lag, attempts histogram.Recorder }

func newMetrics() metrics {
	return metrics{attempts: histogram.Recorder{Bounds: []float64{1, 2, 3, 5, 10, 20}}}
}

// handled observes events whose effect has committed.
func (in *Inbox) handled(items []item, attempts int) {
	if len(items) == 0 {
		return
	}
	m, now := &in.metrics, time.Now()
	in.lastHandled.Store(now.UnixMicro())
	for _, it := range items {
		m.lag.Observe(now.Sub(it.event.Time).Seconds(), 1)
		m.attempts.Observe(float64(attempts), 1)
		in.noteTime(it.event.Time)
	}
	in.settled(items)
}

// noteTime keeps the newest time.
func (in *Inbox) noteTime(at time.Time) {
	for micros := at.UnixMicro(); ; {
		newest := in.newest.Load()
		if micros <= newest || in.newest.CompareAndSwap(newest, micros) {
			return
		}
	}
}
