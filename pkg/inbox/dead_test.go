package inbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestWhatTheBrokerGaveUpIsParkedAndNeverHandled(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		events := series(typ, "a", 4)
		w.handle(t, events[0])
		w.when("a-001", always(errHandler))
		w.handle(t, events[1]) // held: its copy in the database is the one that counts
		calls := w.called("a-001")
		for range 2 { // its acknowledgement may be lost as well
			if err := w.in.HandleDead(t.Context(), batch(events[:3]...)); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.called("a-000") - 1 + w.called("a-001") - calls + w.called("a-002"); n != 0 {
			t.Errorf("handlers were called %d times", n)
		}
		if held, parked := w.backlog(t); held != 1 || parked != 1 {
			t.Errorf("%d held, %d parked; want 1 and 1", held, parked)
		}
		letter := w.letter(t, "a-002")
		if letter.Status != "parked" || !strings.Contains(letter.Reason, "the broker gave it up") || letter.ParkedAt.IsZero() {
			t.Errorf("kept as %+v", letter)
		}
		if diff := cmp.Diff(events[2], letter.Event); diff != "" {
			t.Errorf("the event changed on the way: %s", diff)
		}
		if got, want := w.in.Stats(), (inbox.Stats{Handled: 1, Duplicates: 5, Failed: 2, Held: 1, Parked: 1, Dead: 1}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}

		w.when("a-001", nil)
		w.run(t)
		w.waitNoneHeld(t, 1)
		w.handle(t, events[3], events[2]) // the later ones flow; the broker may still have a copy
		if diff := cmp.Diff([]string{"a-000", "a-001", "a-003"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
		if err := w.in.Redrive(t.Context(), "a-002"); err != nil {
			t.Fatal(err)
		}
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff([]string{"a-000", "a-001", "a-003", "a-002"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestADeadLetterOfTheBrokerIsKeptWhateverItHolds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		broken := eventbus.SetAside(eventbus.Event{Type: "nul\x00", Data: []byte{0, 0xff}}, errors.New("no id"))
		nobodys := eventbus.Delivery{Event: event("crm.events.called.v1", "b", "unknown")}
		dead := []eventbus.Delivery{broken, nobodys, {Event: event(placed, "a", "fine")}}
		if err := w.in.HandleDead(t.Context(), dead); err != nil {
			t.Fatal(err)
		}
		if held, parked := w.backlog(t); held != 0 || parked != 3 {
			t.Errorf("%d held, %d parked; want 0 and 3", held, parked)
		}
		if letter := w.letter(t, broken.Event.ID); !letter.Malformed || !strings.Contains(letter.Reason, "no id") {
			t.Errorf("kept as %+v", letter)
		}
		if err := w.in.Redrive(t.Context(), broken.Event.ID); !errors.Is(err, inbox.ErrMalformed) {
			t.Errorf("redriving gave %v, want ErrMalformed", err)
		}
		if err := w.in.Discard(t.Context(), "unknown"); err != nil {
			t.Error(err)
		}
		w.handle(t, event(placed, "a", "fine")) // known
		if diff := cmp.Diff([]string{}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeadLettersStayAtTheBrokerWhileTheDatabaseIsAway(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, inner sqldb.DB) {
		db := &sqldbtest.Cuttable{DB: inner}
		w := newWorld(t, db, quick)
		db.Cut(true)
		if err := w.in.HandleDead(t.Context(), batch(event(placed, "a", "x"))); !sqldb.IsUnavailable(err) {
			t.Errorf("got %v; a nil would have lost the event", err)
		}
		db.Cut(false)
		if err := w.in.HandleDead(t.Context(), batch(event(placed, "a", "x"))); err != nil {
			t.Fatal(err)
		}
		if _, parked := w.backlog(t); parked != 1 {
			t.Errorf("%d parked, want 1", parked)
		}
	})
}
