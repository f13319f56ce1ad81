package inbox_test

import (
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMetricsTellOfAttemptsLagAndTheTimeOfHandlers(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.when("a-000", times(1, errHandler))
		w.handle(t, series(placed, "a", 3)...)
		w.run(t)
		w.waitNoneHeld(t, 0)
		sqldbtest.Eventually(t, "all three were observed", func() bool { return w.in.Metrics().Attempts.Count == 3 })
		got := w.in.Metrics()
		if got.Attempts.Sum != 4 || got.Attempts.Buckets[1] != 2 || got.Attempts.Buckets[2] != 3 {
			t.Errorf("attempts %+v, want two events with one and one with two", got.Attempts)
		}
		if got.LagSeconds.Count != 3 || got.HandlerSeconds.Count < 4 || got.HandlerSeconds.Sum <= 0 {
			t.Errorf("lag %+v, handlers %+v", got.LagSeconds, got.HandlerSeconds)
		}
	})
}
