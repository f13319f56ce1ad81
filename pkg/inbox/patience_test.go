package inbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestALongRowOfDoHandlersIsNotOneLongTransaction: a server ends a transaction
// that idles, and all of its work would be done again and again.
func TestALongRowOfDoHandlersIsNotOneLongTransaction(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		options := quick
		options.Timeout = 50 * time.Millisecond
		w := newWorld(t, db, options)
		noted := 0
		inbox.Do(w.in, "slow.events.moved.v1", func(ctx context.Context, e eventbus.Event, _ payload) error {
			noted = max(noted, sqldbtest.Count(t, db, `SELECT count(*) FROM inbox`))
			if e.ID == "a-000" { // uses up the time of one transaction
				<-time.After(options.Timeout * 4 / 5)
				<-time.After(options.Timeout / 2)
			}
			return nil
		})
		w.handle(t, series("slow.events.moved.v1", "a", 4)...)
		if noted == 0 {
			t.Error("nothing was noted before all was done")
		}
		if got, want := w.in.Stats(), (inbox.Stats{Handled: 4}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

// TestADatabaseThatIsAwayForAnHourIsAskedNowAndThen counts the questions; the
// hour passes at once.
func TestADatabaseThatIsAwayForAnHourIsAskedNowAndThen(t *testing.T) {
	url := sqldbtest.SQLiteURL(t)
	synctest.Test(t, func(t *testing.T) {
		inner, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer inner.Close()
		db := &sqldbtest.Cuttable{DB: inner}
		w := newWorld(t, db, inbox.Options{BaseDelay: time.Second})
		w.when("a-000", times(1, errHandler))
		w.handle(t, series(placed, "a", 2)...)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		db.Cut(true)
		go func() { done <- w.in.Run(ctx) }()
		<-time.After(time.Hour)
		if n := db.Refused(); n > 1000 || n < 100 {
			t.Errorf("it asked %d times in an hour", n)
		}
		if w.in.Ready() == nil {
			t.Error("it says that it is ready")
		}
		db.Cut(false)
		<-time.After(10 * time.Second)
		if held, _ := w.backlog(t); held != 0 || w.in.Ready() != nil {
			t.Errorf("%d held ten seconds after the database came back, ready: %v", held, w.in.Ready())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
