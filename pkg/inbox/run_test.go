package inbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestAHeldEventIsTriedUntilItSucceeds(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		events := series(typ, "a", 3)
		w.when("a-000", times(2, errHandler))
		w.handle(t, events...)
		w.run(t)
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff(ids(events), w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		trace, err := w.in.Trace(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		first := trace[0]
		if first.ID != "a-000" || first.Attempts != 3 || first.Reason != errHandler.Error() || first.Status != "handled" || first.HandledAt.Before(first.ReceivedAt) {
			t.Errorf("traced %+v", first)
		}
		sqldbtest.Eventually(t, "it was counted", func() bool { return w.in.Stats() == inbox.Stats{Handled: 3, Failed: 2, Held: 3} })
	})
}

func TestAnEventThatNeverSucceedsIsParkedAndTheLaterOnesFlow(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		w.when("a-000", always(errHandler))
		w.handle(t, series(typ, "a", 4)...)
		w.run(t)
		w.waitNoneHeld(t, 1)
		if diff := cmp.Diff([]string{"a-001", "a-002", "a-003"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		letter := w.letter(t, "a-000")
		if letter.Status != "parked" || letter.Attempts != quick.MaxAttempts || letter.Reason != errHandler.Error() || letter.ParkedAt.IsZero() || !letter.DueAt.IsZero() {
			t.Errorf("kept as %+v", letter)
		}
		w.handle(t, event(typ, "a", "a-004"), letter.Event)
		if diff := cmp.Diff([]string{"a-001", "a-002", "a-003", "a-004"}, w.effects(t, "")); diff != "" {
			t.Errorf("a parked event stands in the way: %s", diff)
		}
	})
}

func TestAHandlerMayParkAtALaterAttempt(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		w.when("a-000", always(errHandler))
		w.handle(t, series(typ, "a", 2)...)
		w.when("a-000", always(inbox.Park(errors.New("now I know"))))
		w.run(t)
		w.waitNoneHeld(t, 1)
		if letter := w.letter(t, "a-000"); letter.Reason != "now I know" || letter.Attempts != 2 {
			t.Errorf("kept as %+v", letter)
		}
	})
}

func TestDelaysGrow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		options := quick
		options.BaseDelay, options.MaxDelay = time.Hour, 3*time.Hour
		w := newWorld(t, db, options)
		w.when("a-000", always(errHandler))
		w.handle(t, series(placed, "a", 1)...)
		first := w.letter(t, "a-000")
		if d := first.DueAt.Sub(first.FailedAt); d < 47*time.Minute || d > 73*time.Minute {
			t.Errorf("due %s after the first failure, want about an hour", d)
		}
		w.run(t)
		sqldbtest.Exec(t, db, `UPDATE inbox_held SET due_at = 0`)
		sqldbtest.Eventually(t, "it was tried again", func() bool { return w.letter(t, "a-000").Attempts == 2 && w.in.Stats().Failed == 2 })
		second := w.letter(t, "a-000")
		if d := second.DueAt.Sub(second.FailedAt); d < 95*time.Minute || d > 145*time.Minute {
			t.Errorf("due %s after the second failure, want about two hours", d)
		}
	})
}

func TestAnEventThatKillsTheProcessIsParkedInTheEnd(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		w.when("a-000", always(errHandler))
		w.handle(t, series(typ, "a", 2)...)
		// Each attempt was begun and none ended: the process died in all of them.
		sqldbtest.Exec(t, w.db, `UPDATE inbox_held SET attempts = $1, due_at = 0 WHERE id = 'a-000'`, quick.MaxAttempts)
		calls := w.called("a-000")
		w.run(t)
		w.waitNoneHeld(t, 1)
		if w.called("a-000") != calls {
			t.Error("it was tried once more")
		}
		if letter := w.letter(t, "a-000"); !strings.Contains(letter.Reason, "died") || letter.Attempts != quick.MaxAttempts {
			t.Errorf("kept as %+v", letter)
		}
		if diff := cmp.Diff([]string{"a-001"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnEventWhoseHandlerIsGoneIsParked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.when("a-000", always(errHandler))
		w.handle(t, series(placed, "a", 1)...)
		sqldbtest.Exec(t, db, `UPDATE inbox_held SET type = 'order.events.forgotten.v1'`)
		w.run(t)
		w.waitNoneHeld(t, 1)
		if letter := w.letter(t, "a-000"); !strings.Contains(letter.Reason, "no handler") {
			t.Errorf("kept as %+v", letter)
		}
	})
}

func TestAPersonCanRedriveWhatWasParked(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		w.when("a-000", always(errHandler))
		w.handle(t, series(typ, "a", 2)...)
		w.run(t)
		w.waitNoneHeld(t, 1)
		if err := w.in.Redrive(t.Context(), "a-000"); err != nil { // too early: it fails again
			t.Fatal(err)
		}
		sqldbtest.Eventually(t, "all attempts were made again", func() bool { return w.called("a-000") >= 2*quick.MaxAttempts })
		w.waitNoneHeld(t, 1)
		w.when("a-000", nil)
		if err := w.in.Redrive(t.Context(), "a-000"); err != nil {
			t.Fatal(err)
		}
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff([]string{"a-001", "a-000"}, w.effects(t, "")); diff != "" {
			t.Errorf("it arrives late, but it arrives: %s", diff)
		}
		if err := w.in.Redrive(t.Context(), "a-000"); !errors.Is(err, inbox.ErrNotHeld) {
			t.Errorf("redriving a handled event gave %v, want ErrNotHeld", err)
		}
	})
}

func TestAPersonCanDiscardAndItStaysDiscarded(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		options := series(typ, "a", 3)
		w.when("a-000", always(errHandler))
		w.handle(t, options...)
		if err := w.in.Discard(t.Context(), "a-000"); err != nil { // held, not parked yet
			t.Fatal(err)
		}
		w.when("a-000", nil)
		w.run(t)
		w.waitNoneHeld(t, 0)
		w.handle(t, options[0]) // the bus delivers it again
		if diff := cmp.Diff([]string{"a-001", "a-002"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		trace, err := w.in.Trace(t.Context(), "a")
		if err != nil || trace[0].Status != "discarded" || trace[0].Reason != errHandler.Error() {
			t.Errorf("traced %+v, %v", trace, err)
		}
		for _, decide := range []func(context.Context, string) error{w.in.Discard, w.in.Redrive} {
			if err := decide(t.Context(), "a-000"); !errors.Is(err, inbox.ErrNotHeld) {
				t.Errorf("deciding twice gave %v, want ErrNotHeld", err)
			}
		}
	})
}

func TestAnAttemptUnderWayYieldsToAPersonsDecision(t *testing.T) {
	for name, c := range map[string]struct {
		decide func(*inbox.Inbox) error
		status string
		calls  int
	}{
		"discard": {func(in *inbox.Inbox) error { return in.Discard(context.Background(), "x") }, "discarded", 2},
		"redrive": {func(in *inbox.Inbox) error { return in.Redrive(context.Background(), "x") }, "handled", 3},
	} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
				w := newWorld(t, db, quick)
				inbox.Do(w.in, "decided.events.x.v1", func(_ context.Context, e eventbus.Event, _ payload) error { return w.fail(e) })
				w.when("x", always(errHandler))
				w.handle(t, event("decided.events.x.v1", "a", "x"), event(placed, "a", "y"))
				w.when("x", func() error {
					w.when("x", nil)
					return c.decide(w.in) // while its handler runs, and succeeds
				})
				w.run(t)
				w.waitNoneHeld(t, 0)
				trace, err := w.in.Trace(t.Context(), "a")
				if err != nil || len(trace) != 2 || trace[0].Status != c.status || trace[1].Status != "handled" {
					t.Errorf("traced %+v, %v; want x %s and y handled", trace, err, c.status)
				}
				if n := w.called("x"); n != c.calls {
					t.Errorf("the handler was called %d times, want %d", n, c.calls)
				}
			})
		})
	}
}

func TestDeadLettersAreListedNewestFirstInPages(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.when("a-000", always(errHandler))
		w.handle(t, series(placed, "a", 5)...)
		var got []string
		for cursor := ""; ; {
			page, next, err := w.in.DeadLetters(t.Context(), cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, letter := range page {
				got = append(got, letter.Event.ID)
			}
			if cursor = next; next == "" {
				break
			}
		}
		if diff := cmp.Diff([]string{"a-004", "a-003", "a-002", "a-001", "a-000"}, got); diff != "" {
			t.Error(diff)
		}
		for _, cursor := range []string{"soup", "-1", "0"} {
			if _, _, err := w.in.DeadLetters(t.Context(), cursor, 2); !errors.Is(err, inbox.ErrBadCursor) {
				t.Errorf("cursor %q gave %v, want ErrBadCursor", cursor, err)
			}
		}
		if _, err := w.in.DeadLetter(t.Context(), "nobody"); !errors.Is(err, inbox.ErrNotHeld) {
			t.Errorf("got %v, want ErrNotHeld", err)
		}
		letter := w.letter(t, "a-002")
		if diff := cmp.Diff(event(placed, "a", "a-002"), letter.Event); diff != "" {
			t.Errorf("the event changed on the way: %s", diff)
		}
	})
}

func TestATraceShowsWhatBecameOfEachEvent(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		events := series(placed, "a", 4)
		w.when("a-001", always(inbox.Park(errHandler)))
		w.when("a-002", always(errHandler))
		w.handle(t, append(events, event(placed, "b", "b-000"))...)
		trace, err := w.in.Trace(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range trace {
			got = append(got, r.ID+" "+r.Status+" "+r.Reason)
			if r.Sequence != 7 || r.CorrelationID != "corr" || r.CausationID != "cause" || !r.Time.Equal(events[0].Time) || r.ReceivedAt.IsZero() {
				t.Errorf("traced %+v", r)
			}
			if r.HandledAt.IsZero() != (r.Status != "handled") {
				t.Errorf("%s is %s and handled at %s", r.ID, r.Status, r.HandledAt)
			}
		}
		want := []string{"a-000 handled ", "a-001 parked handler says no", "a-002 held handler says no", "a-003 held "}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReadyTellsWhetherHeldEventsAreTried(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), quick)
	if w.in.Ready() == nil {
		t.Error("ready before it runs")
	}
	stop := w.run(t)
	sqldbtest.Eventually(t, "it was ready", func() bool { return w.in.Ready() == nil })
	stop()
	if w.in.Ready() == nil {
		t.Error("ready after it stopped")
	}
}
