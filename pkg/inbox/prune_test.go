package inbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestOnlyWhatCannotComeAgainIsForgotten(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.handle(t, series(placed, "a", 5)...)
		if _, err := w.in.Prune(t.Context(), inbox.MinRetention-time.Second); err == nil {
			t.Error("forgot what the publisher can still send again")
		}
		sqldbtest.Exec(t, db, `UPDATE inbox SET handled_at = 1 WHERE id <> 'a-004'`)
		n, err := w.in.Prune(t.Context(), inbox.MinRetention)
		if err != nil || n != 4 {
			t.Errorf("forgot %d, %v; want 4", n, err)
		}
	})
}

func TestWhatIsHeldOrParkedIsNeverForgotten(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.when("a-000", always(errHandler))
		w.when("b-000", always(inbox.Park(errHandler)))
		w.handle(t, event(placed, "a", "a-000"), event(placed, "b", "b-000"), event(placed, "c", "c-000"))
		sqldbtest.Exec(t, db, `UPDATE inbox SET handled_at = 1`)
		sqldbtest.Exec(t, db, `UPDATE inbox_held SET received_at = 1, failed_at = 1`)
		if n, err := w.in.Prune(t.Context(), inbox.MinRetention); err != nil || n != 1 {
			t.Errorf("forgot %d, %v; want the one that was handled", n, err)
		}
		w.handle(t, event(placed, "a", "a-000"), event(placed, "b", "b-000"))
		if held, parked := w.backlog(t); held != 1 || parked != 1 {
			t.Errorf("%d held, %d parked; want 1 and 1", held, parked)
		}
	})
}

// TestAConsumerThatWasStoppedForMonthsKnowsWhatTheBusStillHas: it died between
// the commit and the acknowledgement, and was started again after half a year.
func TestAConsumerThatWasStoppedForMonthsKnowsWhatTheBusStillHas(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		newWorld(t, db, quick).handle(t, series(placed, "a", 3)...)
		sqldbtest.Exec(t, db, `UPDATE inbox SET handled_at = handled_at - 180 * 86400 * CAST(1000000 AS BIGINT)`)

		w := attach(db, quick)
		if n, err := w.in.Prune(t.Context(), inbox.MinRetention); err != nil || n != 0 {
			t.Errorf("forgot %d, %v, before the bus had its say", n, err)
		}
		w.handle(t, series(placed, "a", 4)...) // the bus hands out first what was not acknowledged
		if diff := cmp.Diff([]string{"a-000", "a-001", "a-002", "a-003"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		if n, err := w.in.Prune(t.Context(), inbox.MinRetention); err != nil || n != 3 {
			t.Errorf("forgot %d, %v; want the 3 old ones", n, err)
		}
	})
}

func TestRunForgetsEveryHourAndNotAtOnce(t *testing.T) {
	url := sqldbtest.SQLiteURL(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		w := newWorld(t, db, inbox.Options{})
		w.handle(t, series(placed, "a", 3)...)
		sqldbtest.Exec(t, db, `UPDATE inbox SET handled_at = 1`)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.in.Run(ctx) }()
		<-time.After(59 * time.Minute)
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM inbox`); n != 3 {
			t.Errorf("%d are known after an hour, want 3", n)
		}
		<-time.After(2 * time.Minute)
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM inbox`); n != 0 {
			t.Errorf("%d are known after more than an hour, want none", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
