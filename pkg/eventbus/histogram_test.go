package eventbus_test

import (
	"math"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

func TestEveryDurationHasTheBucketOfTheNextBound(t *testing.T) {
	for bucket := range eventbus.HistogramBuckets {
		bound := eventbus.HistogramBound(bucket)
		if got := eventbus.HistogramBucket(bound); got != bucket {
			t.Errorf("%s is in bucket %d, want %d", bound, got, bucket)
		}
		if bucket == eventbus.HistogramBuckets-1 {
			break
		}
		if got := eventbus.HistogramBucket(bound + 1); got != bucket+1 {
			t.Errorf("just above %s is bucket %d, want %d", bound, got, bucket+1)
		}
	}
	if got := eventbus.HistogramBucket(-time.Second); got != 0 {
		t.Errorf("clocks that disagree are in bucket %d, want the first", got)
	}
}

func TestAHistogramIsReadAsPrometheusReadsIt(t *testing.T) {
	var h eventbus.Histogram
	if h.Quantile(0.5) != 0 || h.Count() != 0 {
		t.Errorf("empty: %s, %d", h.Quantile(0.5), h.Count())
	}
	for _, d := range []time.Duration{0, time.Millisecond, 2 * time.Millisecond, 2 * time.Millisecond, 100 * time.Hour} {
		h.Buckets[eventbus.HistogramBucket(d)]++
		h.Seconds += d.Seconds()
	}
	cumulative := h.Cumulative()
	if cumulative[0.00005] != 1 || cumulative[0.001] != 2 || cumulative[0.0025] != 4 || cumulative[6*3600] != 4 || h.Count() != 5 {
		t.Errorf("%d in all, %v", h.Count(), cumulative)
	}
	for q, want := range map[float64]time.Duration{0: 50 * time.Microsecond, 0.5: 2500 * time.Microsecond, 0.8: 2500 * time.Microsecond, 1: math.MaxInt64} {
		if got := h.Quantile(q); got != want {
			t.Errorf("quantile %v is %s, want %s", q, got, want)
		}
	}
}
