package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

var errStoreDown = errors.New("event store does not answer")

// cuttable is a world whose database a test can take away.
func cuttable(t *testing.T, fn func(t *testing.T, w *world, db *sqldbtest.Cuttable, typ string)) {
	t.Helper()
	for name, typ := range map[string]string{"On": placed, "OnBatch": tagged, "Do": moved} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, inner sqldb.DB) {
				db := &sqldbtest.Cuttable{DB: inner}
				options := quick
				options.Outage = func(err error) bool { return errors.Is(err, errStoreDown) }
				fn(t, newWorld(t, db, options), db, typ)
			})
		})
	}
}

func TestADatabaseThatIsAwayIsNotTheEventsFault(t *testing.T) {
	cuttable(t, func(t *testing.T, w *world, db *sqldbtest.Cuttable, typ string) {
		events := series(typ, "a", 3)
		w.when("a-001", func() error {
			db.Cut(true) // under the running handler
			return errHandler
		})
		if err := w.in.Handle(t.Context(), batch(events...)); err == nil {
			t.Fatal("acknowledged without a database")
		}
		if err := w.in.Handle(t.Context(), batch(events...)); !sqldb.IsUnavailable(err) {
			t.Errorf("%v does not say that the database is away", err)
		}
		w.when("a-001", nil)
		db.Cut(false)
		w.handle(t, events...)
		if diff := cmp.Diff(ids(events), w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		if got := w.in.Stats(); got.Failed != 0 || got.Held != 0 {
			t.Errorf("attempts were counted: %+v", got)
		}
		if trace, err := w.in.Trace(t.Context(), "a"); err != nil || trace[1].Attempts != 1 {
			t.Errorf("traced %+v, %v", trace, err)
		}
	})
}

func TestACommitWhoseAnswerIsLostHasOneEffect(t *testing.T) {
	cuttable(t, func(t *testing.T, w *world, db *sqldbtest.Cuttable, typ string) {
		events := series(typ, "a", 4)
		w.when("a-002", times(1, errHandler))
		// The transactions of the batch itself: one that fails as a whole, its parts, the held one.
		for range 4 {
			db.LoseCommits(1)
			_ = w.in.Handle(t.Context(), batch(events...)) // whether it noticed or not, the bus delivers again
		}
		db.LoseCommits(0)
		w.handle(t, events...)
		w.run(t)
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff(ids(events), w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnOutageThatTheHandlerTellsOfCountsNoAttempt(t *testing.T) {
	for name, err := range map[string]error{
		"marked":     inbox.Outage(errHandler),
		"recognised": fmt.Errorf("append: %w", errStoreDown),
	} {
		t.Run(name, func(t *testing.T) {
			cuttable(t, func(t *testing.T, w *world, _ *sqldbtest.Cuttable, typ string) {
				events := append(series(typ, "a", 3), event(typ, "b", "b-000"))
				w.when("a-001", always(err))
				for range 2 * quick.MaxAttempts {
					if got := w.in.Handle(t.Context(), batch(events...)); !errors.Is(got, errors.Unwrap(err)) {
						t.Fatalf("Handle returned %v, want the reason", got)
					}
				}
				stop := w.run(t)
				sqldbtest.Eventually(t, "it said that it is not ready", func() bool { return w.in.Ready() != nil })
				stop()
				if held, parked := w.backlog(t); held+parked != 0 {
					t.Errorf("%d held, %d parked", held, parked)
				}
				w.when("a-001", nil)
				w.handle(t, events...)
				if diff := cmp.Diff(ids(events[:3]), w.effects(t, "a")); diff != "" {
					t.Error(diff)
				}
				w.run(t)
				sqldbtest.Eventually(t, "it was ready again", func() bool { return w.in.Ready() == nil })
			})
		})
	}
}

func TestADoHandlersDoneWorkIsKeptInAnOutage(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.when("b-001", always(inbox.Outage(errHandler)))
		events := append(series(moved, "a", 3), series(moved, "b", 3)...)
		if err := w.in.Handle(t.Context(), batch(events...)); err == nil {
			t.Fatal("the outage was acknowledged")
		}
		w.when("b-001", nil)
		w.handle(t, events...)
		if got, want := w.in.Stats(), (inbox.Stats{Handled: 6, Duplicates: 4}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

func TestAnEndingContextCountsNoAttempt(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		ctx, cancel := context.WithCancel(t.Context())
		w.when("a-000", func() error { cancel(); return ctx.Err() })
		if err := w.in.Handle(ctx, batch(series(typ, "a", 2)...)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if held, parked := w.backlog(t); held+parked != 0 {
			t.Errorf("%d held, %d parked", held, parked)
		}
	})
}

func TestAHandlerThatHangsIsAFailedAttempt(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		options := quick
		options.Timeout = 20 * time.Millisecond
		w := newWorld(t, db, options)
		inbox.Do(w.in, "slow.events.hung.v1", func(ctx context.Context, _ eventbus.Event, _ payload) error {
			<-ctx.Done()
			return ctx.Err()
		})
		w.handle(t, event("slow.events.hung.v1", "a", "x"))
		if letter := w.letter(t, "x"); letter.Attempts != 1 || letter.Reason != context.DeadlineExceeded.Error() {
			t.Errorf("kept as %+v", letter)
		}
	})
}

func TestAnOutageDuringARetryCountsNoAttempt(t *testing.T) {
	cuttable(t, func(t *testing.T, w *world, db *sqldbtest.Cuttable, typ string) {
		w.when("a-000", always(errHandler))
		w.handle(t, series(typ, "a", 2)...)
		w.when("a-000", always(errStoreDown))
		w.run(t)
		sqldbtest.Eventually(t, "it was tried more often than allowed", func() bool { return w.called("a-000") > quick.MaxAttempts+2 })
		sqldbtest.Eventually(t, "it said that it is not ready", func() bool { return w.in.Ready() != nil })

		cut := make(chan struct{})
		w.when("a-000", func() error {
			w.when("a-000", nil)
			db.Cut(true)
			close(cut)
			return errHandler
		})
		<-cut
		sqldbtest.Eventually(t, "it was not ready without a database", func() bool {
			return db.Refused() > 3 && w.in.Ready() != nil
		})
		db.Cut(false)
		w.waitNoneHeld(t, 0)
		sqldbtest.Eventually(t, "it was ready again", func() bool { return w.in.Ready() == nil })
		trace, err := w.in.Trace(t.Context(), "a")
		if err != nil || len(trace) != 2 || trace[0].Attempts != 2 || trace[1].Attempts != 1 {
			t.Errorf("traced %+v, %v; want 2 attempts and 1", trace, err)
		}
	})
}
