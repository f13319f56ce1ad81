package eventbus

import (
	"math"
	"time"
)

// Histogram says how durations are distributed: how many there were, how long
// they were together, and how many were at most as long as each bound. It only
// grows. The zero value is empty.
type Histogram struct {
	// Buckets counts the durations above the bound before and up to this one;
	// the last bucket has no bound. See [HistogramBound].
	Buckets [HistogramBuckets]int64
	// Seconds is the sum of all durations. Not a time.Duration: a few hundred
	// events of last year, replayed, would overflow it.
	Seconds float64
}

// HistogramBuckets is how many buckets a histogram has.
const HistogramBuckets = 24

// HistogramBound is the upper bound of a bucket: 50, 100, 250, 500 microseconds
// and so on to six hours, since a lag can be that long. The last bucket has no
// bound; the longest duration there is stands for it.
func HistogramBound(bucket int) time.Duration {
	return [HistogramBuckets]time.Duration{
		50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour,
		math.MaxInt64,
	}[bucket]
}

// HistogramBucket is the bucket that a duration falls into. What is below zero,
// as clocks that disagree make it, falls into the first.
func HistogramBucket(d time.Duration) int {
	from, to := 0, HistogramBuckets-1
	for from < to {
		if middle := (from + to) / 2; d <= HistogramBound(middle) {
			to = middle
		} else {
			from = middle + 1
		}
	}
	return from
}

// Count is how many durations there were.
func (h Histogram) Count() int64 {
	var count int64
	for _, n := range h.Buckets {
		count += n
	}
	return count
}

// Cumulative is the form that Prometheus has: by upper bound in seconds, how
// many durations were at most as long. The bucket without a bound is left out;
// it would hold [Histogram.Count].
func (h Histogram) Cumulative() map[float64]uint64 {
	cumulative := make(map[float64]uint64, HistogramBuckets-1)
	var count uint64
	for bucket, n := range h.Buckets[:HistogramBuckets-1] {
		count += uint64(max(0, n))
		cumulative[HistogramBound(bucket).Seconds()] = count
	}
	return cumulative
}

// Quantile is the bound of the bucket in which the q-th part of all durations
// lies, q from 0 to 1: no less than the true quantile, and at most two and a
// half times it in the range of the bounds up to ten seconds. Zero when there
// was none.
func (h Histogram) Quantile(q float64) time.Duration {
	count := h.Count()
	if count == 0 {
		return 0
	}
	rank := int64(math.Ceil(q * float64(count)))
	for bucket, n := range h.Buckets {
		if rank -= n; rank <= 0 {
			return HistogramBound(bucket)
		}
	}
	return HistogramBound(HistogramBuckets - 1)
}
