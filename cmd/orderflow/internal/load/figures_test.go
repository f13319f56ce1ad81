package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpreadOfKnownDurations(t *testing.T) {
	var durations []time.Duration
	for i := 100; i >= 1; i-- {
		durations = append(durations, time.Duration(i)*time.Millisecond)
	}
	want := Spread{P50: 50 * time.Millisecond, P99: 99 * time.Millisecond, Max: 100 * time.Millisecond}
	if got := spreadOf(durations); got != want {
		t.Errorf("spread %v, want %v", got, want)
	}
	if got := spreadOf(nil); got != (Spread{}) {
		t.Errorf("spread of nothing: %v", got)
	}
}

// Reporting had 10 orders, and 3 more were accepted after 0, 10 and 20 ms. It counted 11 after 5 ms, and 13 after 40 ms.
func TestOrderIsVisibleWhenReportingCountsAsMany(t *testing.T) {
	began := time.Unix(1e9, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	b := &Bench{sent: []sample{{accepted: at(20)}, {accepted: at(0)}, {accepted: at(10)}}}
	got := b.delays(watched{counts: []int{11, 13}, at: []time.Time{at(5), at(40)}}, 10)
	want := []time.Duration{5 * time.Millisecond, 30 * time.Millisecond, 20 * time.Millisecond}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
}

func TestOrderSeenBeforeItsAnswerWasReadTookNoTime(t *testing.T) {
	began := time.Unix(1e9, 0)
	b := &Bench{sent: []sample{{accepted: began.Add(time.Millisecond)}}}
	got := b.delays(watched{counts: []int{1}, at: []time.Time{began}}, 0)
	if diff := cmp.Diff([]time.Duration{0}, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
}
