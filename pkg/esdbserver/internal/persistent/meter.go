package persistent

import (
	"fmt"
	"slices"
	"time"
)

// latenciesKept is how many of the last latencies statistics are made of.
const latenciesKept = 1000

// meter counts what a group or a consumer has done.
type meter struct {
	started   time.Time
	total     int64
	measured  int64 // total when it was asked for last
	latencies []time.Duration
	next      int // where the next latency goes once there are enough
	detailed  bool
}

// Measured is what a meter says. The counts are since the start and since the last time that somebody asked.
type Measured struct {
	Total, SinceLast int64
	PerSecond        float64 // on average since the start
}

// done counts one event and how long it took.
func (m *meter) done(latency time.Duration) {
	m.total++
	switch {
	case !m.detailed:
	case len(m.latencies) < latenciesKept:
		m.latencies = append(m.latencies, latency)
	default:
		m.latencies[m.next] = latency
		m.next = (m.next + 1) % latenciesKept
	}
}

func (m *meter) read(now time.Time) Measured {
	seconds := max(now.Sub(m.started).Seconds(), 1)
	result := Measured{Total: m.total, SinceLast: m.total - m.measured, PerSecond: float64(m.total) / seconds}
	m.measured = m.total
	return result
}

// Latency is one figure about how long events took, in milliseconds.
type Latency struct {
	Name  string
	Value int64
}

// statistics are the figures that the original server gives, of the latencies seen last.
func (m *meter) statistics() []Latency {
	if len(m.latencies) == 0 {
		return nil
	}
	sorted := slices.Clone(m.latencies)
	slices.Sort(sorted)
	var sum time.Duration
	for _, l := range sorted {
		sum += l
	}
	below := func(share float64) int64 {
		return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].Milliseconds()
	}
	figures := []Latency{
		{"Mean", (sum / time.Duration(len(sorted))).Milliseconds()},
		{"Median", below(0.5)},
		{"Fastest", sorted[0].Milliseconds()},
	}
	for quintile := 1; quintile <= 5; quintile++ {
		figures = append(figures, Latency{fmt.Sprintf("Quintile %d", quintile), below(float64(quintile) / 5)})
	}
	for _, percent := range []float64{90, 95, 99, 99.5, 99.9} {
		figures = append(figures, Latency{fmt.Sprintf("%v%%", percent), below(percent / 100)})
	}
	return append(figures, Latency{"Highest", sorted[len(sorted)-1].Milliseconds()})
}
