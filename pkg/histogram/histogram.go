// Package histogram counts how values are spread, as monitoring wants to know it
// of the parts of a system, whichever monitoring that is.
package histogram

import (
	"math"
	"sort"
	"sync/atomic"
)

// Histogram is what was counted up to a moment. It only grows.
type Histogram struct {
	// Count is how many values there were.
	Count uint64
	// Sum is what they come to.
	Sum float64
	// Buckets has, for each upper bound, how many were not above it: what
	// prometheus.NewConstHistogram takes. Those above every bound are in Count
	// only.
	Buckets map[float64]uint64
}

// maxBounds is how many bounds there may be.
const maxBounds = 24

// durations are the bounds, in seconds, that hold unless others are given: from
// a write to memory to a queue that stood still for a working day.
//
//nolint:gochecknoglobals // a table that nothing changes
var durations = []float64{
	50e-6, 100e-6, 250e-6, 500e-6, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600,
}

// Recorder counts. Safe for concurrent use. The zero value is ready for
// durations in seconds, from 50 microseconds to six hours.
type Recorder struct {
	// Bounds are others than those, up to 24, ascending. They are set before
	// the first value is counted.
	Bounds []float64

	counts [maxBounds + 1]atomic.Uint64 // by bound; above them all
	sum    atomic.Uint64                // the bits of a float64
}

func (r *Recorder) bounds() []float64 {
	if r.Bounds == nil {
		return durations
	}
	return r.Bounds
}

// Observe counts the value so many times. One below zero, as clocks that
// disagree make it, counts as zero.
func (r *Recorder) Observe(value float64, times uint64) {
	value = max(0, value)
	r.counts[sort.SearchFloat64s(r.bounds(), value)].Add(times)
	for {
		before := r.sum.Load()
		after := math.Float64frombits(before) + value*float64(times)
		if r.sum.CompareAndSwap(before, math.Float64bits(after)) {
			return
		}
	}
}

// Read returns what was counted so far. Values counted meanwhile may be in Sum
// and not yet in Count, or the other way round.
func (r *Recorder) Read() Histogram {
	bounds := r.bounds()
	h := Histogram{Sum: math.Float64frombits(r.sum.Load()), Buckets: make(map[float64]uint64, len(bounds))}
	for i, bound := range bounds {
		h.Count += r.counts[i].Load()
		h.Buckets[bound] = h.Count
	}
	h.Count += r.counts[len(bounds)].Load()
	return h
}
