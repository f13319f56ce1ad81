package inbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/position"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// numbered is an event with a sequence.
func numbered(typ, subject, id string, sequence int64) eventbus.Event {
	e := event(typ, subject, id)
	e.Sequence = sequence
	return e
}

// state is what is known of an event without waiting.
func (w *world) state(t testing.TB, p position.Position) position.State {
	t.Helper()
	state, err := w.in.Await(t.Context(), p, 0)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// waits begins to wait beside the caller.
func (w *world) waits(ctx context.Context, p position.Position) <-chan position.State {
	done := make(chan position.State, 1)
	go func() {
		state, err := w.in.Await(ctx, p, time.Minute)
		if err != nil {
			state = position.State(err.Error())
		}
		done <- state
	}()
	return done
}

func TestWhoeverWaitsReadsWhatTheyWrote(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		for _, typ := range []string{placed, tagged, moved, packed} {
			e := numbered(typ, "a", typ, 3)
			p := position.Of(e)
			done := w.waits(t.Context(), p)
			w.handle(t, numbered(typ, "a", typ+"-before", 1), numbered(typ, "a", typ+"-after", 4), numbered(typ, "b", typ+"-other", 3))
			if state := w.state(t, p); state != position.Missing {
				t.Errorf("%s: %s before it arrived, because another one did", typ, state)
			}
			w.handle(t, e)
			if state := <-done; state != position.Applied {
				t.Errorf("%s: %s", typ, state)
			}
		}
	})
}

func TestWhatAnotherInstanceHandledIsFound(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		e := numbered(placed, "a", "a-007", 7)
		done := w.waits(t.Context(), position.Of(e))
		attach(db, quick).handle(t, e)
		if state := <-done; state != position.Applied {
			t.Errorf("%s", state)
		}
	})
}

func TestWaitingTellsWhatIsHeldAndEndsWithWhatIsParked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		held, behind := numbered(placed, "a", "a-000", 0), numbered(placed, "a", "a-001", 1)
		w.when(held.ID, always(errHandler))
		w.handle(t, held, behind)
		for _, e := range []eventbus.Event{held, behind} {
			if state := w.state(t, position.Of(e)); state != position.Held {
				t.Errorf("%s is %s", e.ID, state)
			}
		}
		first, second := w.waits(t.Context(), position.Of(held)), w.waits(t.Context(), position.Of(behind))
		w.run(t)
		if state := <-first; state != position.Parked {
			t.Errorf("it is %s", state)
		}
		if state := <-second; state != position.Applied {
			t.Errorf("the one behind it is %s", state)
		}

		w.when(held.ID, nil)
		if err := w.in.Redrive(t.Context(), held.ID); err != nil {
			t.Fatal(err)
		}
		if state := <-w.waits(t.Context(), position.Of(held)); state != position.Applied {
			t.Errorf("after a redrive it is %s", state)
		}
	})
}

func TestWhatAPersonDiscardedIsWaitedForNoLonger(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		for id, kind := range map[string]error{"held": errHandler, "parked": inbox.Park(errHandler)} {
			e := numbered(placed, id, id, 2)
			w.when(id, always(kind))
			w.handle(t, e)
			done := w.waits(t.Context(), position.Of(e))
			if err := w.in.Discard(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			<-done // parked, or applied: it may have looked before
			if state := w.state(t, position.Of(e)); state != position.Applied {
				t.Errorf("%s", state)
			}
		}
	})
}

func TestWhatWasForgottenIsStillKnownToBeApplied(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		parked := numbered(placed, "a", "a-001", 1)
		w.when(parked.ID, always(inbox.Park(errHandler)))
		var handled []eventbus.Event
		for i, id := range []string{"a-000", "a-003", "a-005"} {
			handled = append(handled, numbered(placed, "a", id, []int64{0, 3, 5}[i]))
		}
		w.handle(t, append(handled, parked, numbered(tagged, "a", "tagged", 6), numbered(placed, "b", "b-000", 0))...)
		for range 2 { // in two parts
			sqldbtest.Exec(t, db, `UPDATE inbox SET handled_at = 1 WHERE id IN (SELECT id FROM inbox WHERE subject = 'a' ORDER BY id DESC LIMIT 2)`)
			if n, err := w.in.Prune(t.Context(), inbox.MinRetention); err != nil || n != 2 {
				t.Fatalf("forgot %d, %v", n, err)
			}
		}
		for _, e := range handled {
			if state := w.state(t, position.Of(e)); state != position.Applied {
				t.Errorf("%s is %s", e.ID, state)
			}
		}
		if state := w.state(t, position.Of(parked)); state != position.Parked {
			t.Errorf("what is parked is %s", state)
		}
		for _, e := range []eventbus.Event{numbered(placed, "a", "", 6), numbered(placed, "b", "", 1), numbered(placed, "c", "", 0)} {
			if state := w.state(t, position.Of(e)); state != position.Missing {
				t.Errorf("%d of %s is %s", e.Sequence, e.Subject, state)
			}
		}
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM inbox_forgotten`); n != 2 {
			t.Errorf("%d rows are kept, want one for each type of the subject", n)
		}
	})
}

func TestNobodyWaitsForWhatIsNotRead(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), quick)
	for name, want := range map[string]position.State{
		"order.events.moved":      position.Missing,
		"order.events.placed":     position.Missing,
		"packing.events.rejected": position.Missing, // a pattern takes it
		"order.events.place":      position.Applied,
		"order.events.placed.v1":  position.Applied,
		"catalog.events.listed":   position.Applied,
	} {
		p := position.Position{Source: "/orderflow/test", Subject: "a", Name: name}
		if state := w.state(t, p); state != want {
			t.Errorf("%s: %s", name, state)
		}
	}
	// One fact is published in versions side by side; whichever is read counts.
	other := numbered("order.events.placed.v2", "a", "a-002", 2)
	if state := w.state(t, position.Of(other)); state != position.Missing {
		t.Errorf("%s", state)
	}
	w.handle(t, numbered(placed, "a", "a-002", 2))
	if state := w.state(t, position.Of(other)); state != position.Applied {
		t.Errorf("%s", state)
	}
}

func TestManyPositionsAreLookedForAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		const many = 250
		var events []eventbus.Event
		for n := range int64(many) {
			events = append(events, numbered(placed, "a", string(rune('a'+n%26))+string(rune('A'+n/26)), n))
		}
		w.handle(t, events[:many/2]...)
		var positions []position.Position
		for _, e := range events {
			positions = append(positions, position.Of(e))
		}
		states, err := inbox.States(w.in, t.Context(), positions)
		if err != nil {
			t.Fatal(err)
		}
		for n, state := range states {
			if want := n < many/2; (state == position.Applied) != want {
				t.Errorf("%d is %s", n, state)
			}
		}
	})
}

// A server that has no statistics yet must not read the whole inbox.
func TestPositionsAreLookedForByIndex(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		var events []eventbus.Event
		for n := range 3000 {
			events = append(events, numbered(placed, fmt.Sprint("s", n), fmt.Sprint("e", n), 0))
		}
		w.handle(t, events...)
		explain := "EXPLAIN "
		if db.Dialect() == sqldb.SQLite {
			explain = "EXPLAIN QUERY PLAN "
		}
		for _, positions := range []int{1, 50} {
			args := []any{"packing"}
			for n := range positions {
				args = append(args, n, "/orderflow/test", fmt.Sprint("s", n), "order.events.placed.v", 0)
			}
			rows, err := db.Query(t.Context(), explain+inbox.StatesQuery(w.in, positions), args...)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := sqldb.Collect(rows, func(r sqldb.Row) (line string, err error) {
				if db.Dialect() == sqldb.SQLite {
					var id, parent, unused int
					return line, r.Scan(&id, &parent, &unused, &line)
				}
				return line, r.Scan(&line)
			})
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(plan, "\n")
			if !strings.Contains(text, "inbox_subject") || strings.Contains(text, "Seq Scan") || strings.Contains(text, "SCAN inbox") {
				t.Errorf("%d positions:\n%s", positions, text)
			}
		}
	})
}
