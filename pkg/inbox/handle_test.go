package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// kinds runs a test for each kind of handlers, on both dialects.
func kinds(t *testing.T, fn func(t *testing.T, w *world, typ string)) {
	t.Helper()
	for name, typ := range map[string]string{"On": placed, "OnBatch": tagged, "Do": moved} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) { fn(t, newWorld(t, db, quick), typ) })
		})
	}
}

func TestAnEventThatComesAgainHasOneEffect(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		events := series(typ, "a", 5)
		w.handle(t, append(events, events[1], events[4])...) // twice in one batch
		w.handle(t, events...)                               // committed, but the acknowledgement was lost
		if diff := cmp.Diff(ids(events), w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		if got, want := w.in.Stats(), (inbox.Stats{Handled: 5, Duplicates: 7}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		if n := w.called("a-001"); n != 1 {
			t.Errorf("the handler was called %d times", n)
		}
	})
}

func TestTheSameIDFromAnotherSourceIsAnotherEvent(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		one, other := event(typ, "a", "x"), event(typ, "a", "x")
		other.Source = "/elsewhere"
		w.handle(t, one)
		w.handle(t, other, one)
		if n := w.called("x"); n != 2 {
			t.Errorf("handled %d times, want 2", n)
		}
	})
}

func TestAnEventNobodyHandlesIsAcknowledgedAndForgotten(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.handle(t, event("crm.events.called.v1", "a", "x"), event(placed, "a", "y"))
		if got, want := w.in.Stats(), (inbox.Stats{Handled: 1, Unknown: 1}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		trace, err := w.in.Trace(t.Context(), "a")
		if err != nil || len(trace) != 1 {
			t.Errorf("traced %v, %v; want the one that has a handler", trace, err)
		}
	})
}

func TestGuiltyEventIsFoundAmongAHundredAndOthersFlow(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		var events []eventbus.Event
		for i := range 100 {
			events = append(events, event(typ, fmt.Sprint("s", i%20), fmt.Sprintf("e%03d", i)))
		}
		w.when("e047", always(errHandler)) // of s7, as are e007, e027, e067 and e087
		w.handle(t, events...)
		got := w.effects(t, "")
		slices.Sort(got)
		var want []string
		for _, e := range events {
			if !slices.Contains([]string{"e047", "e067", "e087"}, e.ID) {
				want = append(want, e.ID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got, want := w.in.Stats(), (inbox.Stats{Handled: 97, Failed: 1, Held: 3}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		guilty := w.letter(t, "e047")
		if guilty.Attempts != 1 || guilty.Status != "held" || guilty.Reason != errHandler.Error() || guilty.DueAt.IsZero() || guilty.FailedAt.IsZero() {
			t.Errorf("the guilty one is kept as %+v", guilty)
		}
		if behind := w.letter(t, "e087"); behind.Attempts != 0 || behind.Status != "held" {
			t.Errorf("the one behind it is kept as %+v", behind)
		}
	})
}

func TestSeveralGuiltyEventsAreAllFound(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		var events []eventbus.Event
		for i := range 30 {
			id := fmt.Sprintf("e%02d", i)
			events = append(events, event(typ, fmt.Sprint("s", i), id))
			if i%7 == 0 || i == 1 || i == 29 {
				w.when(id, always(errHandler))
			}
		}
		w.handle(t, events...)
		held, parked := w.backlog(t)
		if n := len(w.effects(t, "")); n != 23 || held != 7 || parked != 0 {
			t.Errorf("%d handled, %d held, %d parked; want 23, 7, 0", n, held, parked)
		}
	})
}

func TestLaterEventsOfAHeldSubjectWaitBehindItInOrder(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		events := series(typ, "a", 6)
		w.when("a-001", always(errHandler))
		w.handle(t, events[:3]...)
		w.handle(t, events[3:5]...)
		w.handle(t, events[5], event(typ, "b", "b-000"))
		if diff := cmp.Diff([]string{"a-000", "b-000"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		w.when("a-001", nil)
		w.run(t)
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff(ids(events), w.effects(t, "a")); diff != "" {
			t.Error(diff)
		}
		w.handle(t, events...) // they are known by now
		if n := len(w.effects(t, "a")); n != 6 {
			t.Errorf("%d effects, want 6", n)
		}
	})
}

func TestKindsOfHandlersOfOneSubjectKeepItsOrder(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		var events []eventbus.Event
		for i, typ := range []string{placed, moved, packed, moved, moved, placed, moved} {
			events = append(events, event(typ, "a", fmt.Sprint("a-", i)))
		}
		w.when("a-3", times(2, errHandler))
		w.handle(t, events...)
		if diff := cmp.Diff([]string{"a-0", "a-1", "a-2"}, w.effects(t, "a")); diff != "" {
			t.Error(diff)
		}
		w.run(t)
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff(ids(events), w.effects(t, "a")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDataThatCannotBeReadIsParkedAtOnceAndStopsNothing(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		events := series(typ, "a", 3)
		events[1].Data = []byte(`{"n": "not a number"`)
		w.handle(t, events...)
		if diff := cmp.Diff([]string{"a-000", "a-002"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		letter := w.letter(t, "a-001")
		if letter.Status != "parked" || letter.Attempts != 1 || !strings.Contains(letter.Reason, "JSON") || letter.ParkedAt.IsZero() {
			t.Errorf("kept as %+v", letter)
		}
		if diff := cmp.Diff(events[1], letter.Event); diff != "" {
			t.Errorf("the event changed on the way: %s", diff)
		}
		if got, want := w.in.Stats(), (inbox.Stats{Handled: 2, Failed: 1, Parked: 1}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

func TestAHandlerCanParkAtOnce(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		w.when("a-000", always(fmt.Errorf("no such thing: %w", inbox.Park(errHandler))))
		w.handle(t, series(typ, "a", 2)...)
		if letter := w.letter(t, "a-000"); letter.Status != "parked" || !strings.Contains(letter.Reason, errHandler.Error()) {
			t.Errorf("kept as %+v", letter)
		}
		if diff := cmp.Diff([]string{"a-001"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatIsNoEventIsParkedWhateverItHolds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		broken := eventbus.SetAside(eventbus.Event{Type: "nul\x00 and \xff", Subject: "a", Data: []byte{0, 0xff}}, errors.New("no id: \x00\xfe"))
		delivery := []eventbus.Delivery{broken, {Event: event(placed, "a", "good")}, broken}
		for range 2 {
			if err := w.in.Handle(t.Context(), delivery); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"good"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		letter := w.letter(t, broken.Event.ID)
		if !letter.Malformed || letter.Status != "parked" || string(letter.Event.Data) != "\x00\xff" || !strings.Contains(letter.Reason, "no id") {
			t.Errorf("kept as %+v", letter)
		}
		if err := w.in.Redrive(t.Context(), broken.Event.ID); !errors.Is(err, inbox.ErrMalformed) {
			t.Errorf("redriving gave %v, want ErrMalformed", err)
		}
		if err := w.in.Discard(t.Context(), broken.Event.ID); err != nil {
			t.Error(err)
		}
		if held, parked := w.backlog(t); held+parked != 0 {
			t.Errorf("%d held, %d parked", held, parked)
		}
	})
}

func TestAPanicIsAFailedAttemptWithItsStack(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		w.when("a-000", func() error { panic("index out of range") })
		w.handle(t, append(series(typ, "a", 2), event(typ, "b", "b-000"))...)
		letter := w.letter(t, "a-000")
		if letter.Attempts != 1 || !strings.HasPrefix(letter.Reason, "panic: index out of range") || !strings.Contains(letter.Reason, "world_test.go") {
			t.Errorf("kept as %+v", letter)
		}
		if diff := cmp.Diff([]string{"b-000"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAHandlerThatHidesAnErrorIsFoundOut(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		w.in.OnAny("hiding.events.#", func(ctx context.Context, tx sqldb.Tx, _ eventbus.Event) error {
			if _, err := tx.Exec(ctx, `INSERT INTO no_such_table VALUES (1)`); err == nil {
				t.Error("wrote to a table that is not there")
			}
			return nil // on PostgreSQL the transaction is broken now
		})
		var events []eventbus.Event
		for i := range 9 {
			events = append(events, event(placed, fmt.Sprint("s", i), fmt.Sprint("e", i)))
		}
		events[5] = event("hiding.events.x.v1", "s5", "e5")
		w.handle(t, events...)
		if n := len(w.effects(t, "")); n != 8 {
			t.Errorf("%d of the 8 others were handled", n)
		}
		held, _ := w.backlog(t)
		if want := map[sqldb.Dialect]int{sqldb.Postgres: 1, sqldb.SQLite: 0}[db.Dialect()]; held != want {
			t.Errorf("%d held, want %d", held, want)
		}
	})
}

func TestDoHandlersOfDifferentSubjectsRunSideBySide(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		options := quick
		options.Concurrency = 4
		w := newWorld(t, db, options)
		var events []eventbus.Event
		var meeting sync.WaitGroup
		meeting.Add(4)
		together := make(chan struct{})
		go func() { meeting.Wait(); close(together) }()
		inbox.Do(w.in, "meeting.events.held.v1", func(ctx context.Context, _ eventbus.Event, _ payload) error {
			meeting.Done()
			select {
			case <-together: // nobody leaves before all four are there
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		for i := range 4 {
			events = append(events, event("meeting.events.held.v1", fmt.Sprint("s", i), fmt.Sprint("e", i)))
		}
		w.handle(t, events...)
		if got := w.in.Stats().Handled; got != 4 {
			t.Errorf("%d handled, want 4", got)
		}
	})
}

func TestTwoInstancesHaveOneEffect(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		other := attach(w.db, quick)
		var events []eventbus.Event
		for i := range 60 {
			events = append(events, event(typ, fmt.Sprint("s", i%5), fmt.Sprintf("e%02d", i)))
		}
		for _, v := range []*world{w, other} {
			v.when("e11", times(1, errHandler))
			v.run(t)
		}
		var group sync.WaitGroup
		for _, v := range []*world{w, other} {
			group.Go(func() {
				for some := range slices.Chunk(events, 12) {
					if err := v.in.Handle(t.Context(), batch(some...)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		w.waitNoneHeld(t, 0)
		got := w.effects(t, "")
		slices.Sort(got)
		if diff := cmp.Diff(ids(events), got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPatternsListWhatIsHandled(t *testing.T) {
	in := attach(sqldbtest.SQLite(t), quick).in
	if diff := cmp.Diff([]string{moved, placed, tagged, "packing.events.#"}, in.Patterns()); diff != "" {
		t.Error(diff)
	}
}

func TestRegisteringNonsensePanics(t *testing.T) {
	in := attach(sqldbtest.SQLite(t), quick).in
	for name, register := range map[string]func(){
		"twice":       func() { inbox.Do(in, placed, func(context.Context, eventbus.Event, payload) error { return nil }) },
		"a pattern":   func() { inbox.Do(in, "order.#", func(context.Context, eventbus.Event, payload) error { return nil }) },
		"nothing":     func() { inbox.Do(in, "", func(context.Context, eventbus.Event, payload) error { return nil }) },
		"no wildcard": func() { in.OnAny("order.ev*", func(context.Context, sqldb.Tx, eventbus.Event) error { return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			register()
		})
	}
}
