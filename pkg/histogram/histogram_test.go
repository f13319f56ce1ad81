package histogram_test

import (
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/histogram"
)

func TestValuesAreCountedUpToTheirBound(t *testing.T) {
	r := histogram.Recorder{Bounds: []float64{1, 2, 5}}
	for _, value := range []float64{-3, 0, 1, 1.5, 2, 5, 5.001} {
		r.Observe(value, 1)
	}
	r.Observe(100, 3)
	want := histogram.Histogram{Count: 10, Sum: 1 + 1.5 + 2 + 5 + 5.001 + 300, Buckets: map[float64]uint64{1: 3, 2: 5, 5: 6}}
	if diff := cmp.Diff(want, r.Read()); diff != "" {
		t.Error(diff)
	}
}

func TestTheZeroValueIsReadyForDurations(t *testing.T) {
	var r histogram.Recorder
	if h := r.Read(); h.Count != 0 || h.Sum != 0 {
		t.Errorf("empty: %+v", h)
	}
	for _, seconds := range []float64{0.00004, 0.002, 59, 7 * 3600} {
		r.Observe(seconds, 1)
	}
	h := r.Read()
	for bound, want := range map[float64]uint64{0.00005: 1, 0.001: 1, 0.0025: 2, 30: 2, 60: 3, 6 * 3600: 3} {
		if got, ok := h.Buckets[bound]; got != want || !ok {
			t.Errorf("%d up to %v s, want %d", got, bound, want)
		}
	}
	if h.Count != 4 {
		t.Errorf("%d in all, want 4", h.Count)
	}
}

func TestNoValueIsLostBetweenManyThatCount(t *testing.T) {
	var r histogram.Recorder
	var counting sync.WaitGroup
	for range 8 {
		counting.Go(func() {
			for range 1000 {
				r.Observe(0.5, 2)
			}
		})
	}
	counting.Wait()
	if h := r.Read(); h.Count != 16_000 || math.Abs(h.Sum-8_000) > 1e-6 {
		t.Errorf("%d values, %v together", h.Count, h.Sum)
	}
}
