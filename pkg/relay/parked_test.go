package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestAnEventThatCannotBeAnnouncedIsParkedAndTheOthersGoOn(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed", "broken", "packed", "panicky", "invalid", "command", "dispatched")
		w.write("order-"+order(1), `{"version":`, "unreadable")
		w.commit(order(1), "done")
		r := w.relay(db)
		stop := w.run(r)
		defer stop()
		w.caughtUp()
		if diff := cmp.Diff([]string{"1@0 placed", "1@2 packed", "1@6 dispatched", "1@8 done"}, w.bus.published()); diff != "" {
			t.Error(diff)
		}
		parked, err := r.ParkedOf(t.Context(), order(1))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range parked {
			got = append(got, fmt.Sprintf("%d %s: %s", p.Revision, p.Type, p.Reason))
			if p.Stream != "order-"+order(1) || p.ID == "" || p.Position == 0 || p.ParkedAt.IsZero() {
				t.Errorf("incomplete: %s", dump(p))
			}
		}
		for i, want := range []string{
			"1 broken: this event has no meaning", "3 panicky: panic: no \uFFFD such field \uFFFD", "4 invalid: invalid event",
			"5 command: no queue takes this command", "7 unreadable: unreadable metadata",
		} {
			if len(got) != 5 || !strings.HasPrefix(got[i], want) {
				t.Fatalf("parked %q, want %q at %d", got, want, i)
			}
		}
		stop()
		if s := r.Stats(); s != (relay.Stats{Published: 4, Parked: 5}) {
			t.Errorf("stats %+v", s)
		}
		defer w.run(w.relay(db))() // a restart parks nothing twice
		w.commit(order(2), "placed")
		w.caughtUp()
		if n := len(w.deadLetters(r)); n != 5 {
			t.Errorf("%d parked after a restart", n)
		}
		if others, err := r.ParkedOf(t.Context(), order(2)); err != nil || len(others) != 0 {
			t.Errorf("of another order: %s, %v", dump(others), err)
		}
	})
}

// An old event that means several today could come to be announced twice in one
// type: under one id, consumers would take the second for a repetition.
func TestTwoAnnouncementsThatShareAnIDAreNotTakenForOne(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.commit(order(1), "placed", "twins", "packed")
	r := w.relay(w.db)
	defer w.run(r)()
	w.caughtUp()
	if diff := cmp.Diff([]string{"1@0 placed", "1@2 packed"}, w.bus.published()); diff != "" {
		t.Error(diff)
	}
	parked := w.deadLetters(r)
	if len(parked) != 1 || parked[0].Revision != 1 || !strings.Contains(parked[0].Reason, "two announcements of type order.events.twin.v1 share the id") {
		t.Errorf("parked %s", dump(parked))
	}
}

func TestATemporaryErrorStopsAndParksNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.set(func() { w.outage = true })
		w.commit(order(1), "placed", "packed")
		r := w.relay(db)
		if err := r.Run(t.Context()); !errors.Is(err, errTemporary) {
			t.Errorf("got %v, want the temporary error", err)
		}
		defer w.run(r)()
		sqldbtest.Eventually(t, "it was tried again", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.refused > 2
		})
		if at, parked := w.checkpoint(), w.deadLetters(r); at != 0 || len(parked) != 0 {
			t.Errorf("checkpoint %d, parked %s", at, dump(parked))
		}
		w.set(func() { w.outage = false })
		w.caughtUp()
		if diff := cmp.Diff([]string{"1@0 placed", "1@1 packed"}, w.bus.published()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAPersonRedrivesOrDiscardsWhatIsParked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "broken", "panicky", "placed", "command", "invalid")
		r := w.relay(db)
		defer w.run(r)()
		w.caughtUp()
		parked, err := r.ParkedOf(t.Context(), order(1))
		if err != nil || len(parked) != 4 {
			t.Fatalf("%s, %v", dump(parked), err)
		}
		for _, p := range parked {
			if err := r.Redrive(t.Context(), p.ID); !errors.Is(err, relay.ErrUntranslatable) {
				t.Errorf("%s: got %v, want ErrUntranslatable", p.Type, err)
			}
		}
		w.set(func() { w.outage = true })
		if err := r.Redrive(t.Context(), parked[0].ID); !errors.Is(err, errTemporary) || errors.Is(err, relay.ErrUntranslatable) {
			t.Errorf("got %v, want the temporary error alone", err)
		}
		w.set(func() { w.outage, w.healed = false, true })
		for _, p := range parked[1:3] {
			if err := r.Redrive(t.Context(), p.ID); err != nil {
				t.Errorf("redriving %s: %v", p.Type, err)
			}
		}
		if diff := cmp.Diff([]string{"1@2 placed", "1@1 panicky", "1@3 command"}, w.bus.published()); diff != "" {
			t.Error(diff)
		}
		if err := r.Discard(t.Context(), parked[0].ID); err != nil {
			t.Error(err)
		}
		for _, id := range []string{parked[0].ID, parked[1].ID, "nothing"} {
			if _, err := r.DeadLetter(t.Context(), id); !errors.Is(err, relay.ErrNotParked) {
				t.Errorf("get: %v", err)
			}
			if err := r.Redrive(t.Context(), id); !errors.Is(err, relay.ErrNotParked) {
				t.Errorf("redrive: %v", err)
			}
			if err := r.Discard(t.Context(), id); !errors.Is(err, relay.ErrNotParked) {
				t.Errorf("discard: %v", err)
			}
		}
	})
}

func TestARedrivenEventThatTheStoreHasNoLongerSaysSo(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.commit(order(1), "broken")
	r := w.relay(w.db)
	defer w.run(r)()
	w.caughtUp()
	if _, err := w.server.Client(t).DeleteStream(t.Context(), "order-"+order(1), esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Redrive(t.Context(), w.deadLetters(r)[0].ID); !errors.Is(err, relay.ErrUntranslatable) {
		t.Errorf("got %v, want ErrUntranslatable", err)
	}
}

func TestParkedEventsAreListedNewestFirstInPages(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "broken", "broken", "broken", "broken", "broken")
		r := w.relay(db)
		defer w.run(r)()
		w.caughtUp()
		var revisions []int64
		cursor := ""
		for pages := 1; ; pages++ {
			page, next, err := r.DeadLetters(t.Context(), cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				revisions = append(revisions, p.Revision)
			}
			if next == "" {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
			cursor = next
		}
		if diff := cmp.Diff([]int64{4, 3, 2, 1, 0}, revisions); diff != "" {
			t.Error(diff)
		}
		if page, next, err := r.DeadLetters(t.Context(), "", 5); len(page) != 5 || next != "" || err != nil {
			t.Errorf("a full last page: %d, next %q, %v", len(page), next, err)
		}
		for _, bad := range []string{"x", "!", "LTE", "MA", cursor + "x"} {
			if _, _, err := r.DeadLetters(t.Context(), bad, 2); !errors.Is(err, relay.ErrBadCursor) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func TestATraceShowsWhatWasPublishedAboutASubject(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed", "double")
		w.commit(order(2), "placed")
		r := w.relay(db)
		defer w.run(r)()
		w.caughtUp()
		trace, err := r.Trace(t.Context(), order(1))
		if err != nil {
			t.Fatal(err)
		}
		want := []relay.Published{
			{Type: "order.events.placed.v1", Sequence: 0}, {Type: "order.events.first.v1", Sequence: 1}, {Type: "order.events.second.v1", Sequence: 1},
		}
		for i := range want {
			want[i].Subject, want[i].CorrelationID, want[i].CausationID = order(1), "c", "d"
		}
		if diff := cmp.Diff(want, trace, cmpopts.IgnoreFields(relay.Published{}, "ID", "PublishedAt")); diff != "" {
			t.Error(diff)
		}
		for _, p := range trace {
			if p.ID == "" || p.PublishedAt.IsZero() {
				t.Errorf("incomplete: %s", dump(p))
			}
		}
	})
}

func TestReasonsAreErasedAndTheirEventsStayParked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed", "broken")
		w.commit(order(2), "broken")
		r := w.relay(db)
		defer w.run(r)()
		w.caughtUp()
		if err := r.Erase(t.Context(), "order-"+order(1)); err != nil {
			t.Fatal(err)
		}
		reasons := map[string]string{}
		for _, p := range w.deadLetters(r) {
			reasons[p.Stream] = p.Reason
		}
		if len(reasons) != 2 || reasons["order-"+order(1)] != "erased" || !strings.HasPrefix(reasons["order-"+order(2)], "this event has no meaning") {
			t.Errorf("reasons: %q", reasons)
		}
		end, err := w.store.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if at, err := r.Announced(t.Context()); err != nil || at < end {
			t.Errorf("announced up to %d of %d, %v", at, end, err)
		}
	})
}
