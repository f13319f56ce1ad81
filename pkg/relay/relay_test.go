package relay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestWhatCommittedIsAnnouncedOnceAndInOrder(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed", "private", "double")
		w.write("customer-1", `{}`, "none", "of", "ours")
		r := w.relay(db)
		stop := w.run(r)
		defer stop()
		w.caughtUp()
		w.commit(order(2), "placed") // live
		w.commit(order(1), "packed")
		w.caughtUp()
		if diff := cmp.Diff([]string{"1@0 placed", "1@2 first", "1@2 second", "2@0 placed", "1@3 packed"}, w.bus.published()); diff != "" {
			t.Error(diff)
		}
		stop()
		w.commit(order(2), "packed")
		stop = w.run(w.relay(db)) // a new process
		defer stop()
		w.caughtUp()
		if diff := cmp.Diff("2@1 packed", w.bus.published()[5]); diff != "" || len(w.bus.published()) != 6 {
			t.Errorf("after a restart: %v", w.bus.published())
		}
		if got := r.Stats(); got != (relay.Stats{Published: 5}) {
			t.Errorf("stats %+v", got)
		}
	})
}

func TestWhatTheBusHasIsNotedAlsoByARelayThatIsAskedToStop(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed", "packed")
		ctx, cancel := context.WithCancel(t.Context())
		w.bus.set(func() {
			w.bus.after = func(context.Context, []eventbus.Event) error { cancel(); return nil }
		})
		r := w.relay(db)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
		if got, want := r.Stats().Published, int64(len(w.bus.published())); got != want || want == 0 {
			t.Errorf("counted %d of %d", got, want)
		}
		w.bus.set(func() { w.bus.after = nil })
		defer w.run(w.relay(db))()
		w.caughtUp()
		if diff := cmp.Diff([]string{"1@0 placed", "1@1 packed"}, w.bus.published()); diff != "" {
			t.Errorf("something was published again (-want +got):\n%s", diff)
		}
	})
}

func TestTheCheckpointMovesOnlyOverWhatTheBusHas(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		failures := 0
		w.bus.before = func(_ context.Context, events []eventbus.Event) error {
			if at := w.checkpoint(); at >= w.positionOf(events[0]) {
				t.Errorf("checkpoint %d before the bus had the event at %d", at, w.positionOf(events[0]))
			}
			if failures++; failures%3 == 1 {
				return errBus
			}
			return nil
		}
		w.bus.after = func(context.Context, []eventbus.Event) error {
			if failures%3 == 2 {
				return errBus // stored, but nobody knows
			}
			return nil
		}
		stop := w.run(w.relay(db))
		defer stop()
		var want []string
		for range 4 {
			w.commit(order(1), "placed")
			w.caughtUp()
			want = append(want, "placed")
		}
		list, repeated := w.bus.distinct()
		if diff := cmp.Diff(want, names(list)); diff != "" {
			t.Error(diff)
		}
		if repeated == 0 {
			t.Error("nothing was sent again: the test shows nothing")
		}
	})
}

// positionOf finds the event in the log that an announcement is about.
func (w *world) positionOf(e eventbus.Event) int {
	for _, recorded := range w.server.Events(w.t, "order-"+e.Subject) {
		if int64(recorded.EventNumber) == e.Sequence {
			return int(recorded.Position.Commit)
		}
	}
	return -1
}

func TestARelayThatDiesBetweenPublishingAndSavingPublishesAgainUnderTheSameIDs(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed", "packed")
		cuttable := &sqldbtest.Cuttable{DB: db}
		w.bus.after = func(context.Context, []eventbus.Event) error {
			cuttable.Cut(true)
			return nil
		}
		w.ttl = 300 * time.Millisecond
		r := w.relay(cuttable)
		if err := r.Run(t.Context()); !sqldb.IsUnavailable(err) {
			t.Fatalf("got %v, want the error of the database", err)
		}
		if at := w.checkpoint(); at != 0 {
			t.Errorf("checkpoint %d", at)
		}
		w.bus.set(func() { w.bus.after = nil })
		cuttable.Cut(false)
		stop := w.run(r)
		defer stop()
		w.caughtUp()
		list, repeated := w.bus.distinct()
		if diff := cmp.Diff([]string{"placed", "packed"}, names(list)); diff != "" || repeated == 0 {
			t.Errorf("%d repetitions, want what was published before; %s", repeated, diff)
		}
	})
}

func TestASaveWhoseAnswerIsLostAnnouncesNothingTwice(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed")
		cuttable := &sqldbtest.Cuttable{DB: db}
		w.bus.after = func(context.Context, []eventbus.Event) error {
			cuttable.LoseCommits(2) // old publications may be removed at the same time
			return nil
		}
		r := w.relay(cuttable)
		if err := r.Run(t.Context()); !sqldb.IsUnavailable(err) {
			t.Fatalf("got %v, want the error of the database", err)
		}
		cuttable.LoseCommits(0)
		w.bus.set(func() { w.bus.after = nil })
		defer w.run(r)()
		w.commit(order(1), "packed")
		w.caughtUp()
		if diff := cmp.Diff([]string{"1@0 placed", "1@1 packed"}, w.bus.published()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOneRelayPublishesAndAnotherTakesOverWhenItEnds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		first, second := w.relay(db), w.relay(db)
		stopFirst := w.run(first)
		defer stopFirst()
		w.commit(order(1), "placed")
		w.caughtUp()
		stopSecond := w.run(second)
		defer stopSecond()
		for range 5 {
			w.commit(order(1), "placed")
		}
		w.caughtUp()
		if n := second.Stats().Published; n != 0 {
			t.Errorf("the one that stands by published %d", n)
		}
		stopFirst()
		w.commit(order(1), "packed")
		w.caughtUp()
		if n := len(w.bus.published()); n != 7 {
			t.Errorf("published %v", w.bus.published())
		}
		sqldbtest.Eventually(t, "the second counts what it published", func() bool { return second.Stats().Published == 1 })
		if err := second.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestAnotherRelayTakesOverFromOneThatIsCutOff(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		cuttable := &sqldbtest.Cuttable{DB: db}
		w.ttl = 300 * time.Millisecond
		first, second := w.relay(cuttable), w.relay(db)
		defer w.run(first)()
		w.commit(order(1), "placed")
		w.caughtUp()
		defer w.run(second)()
		cuttable.Cut(true)
		w.commit(order(1), "packed")
		w.caughtUp()
		sqldbtest.Eventually(t, "the second counts what it published", func() bool { return second.Stats().Published > 0 })
		sqldbtest.Eventually(t, "the first says that it is not ready", func() bool { return first.Ready() != nil })
		list, _ := w.bus.distinct()
		if diff := cmp.Diff([]string{"placed", "packed"}, names(list)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARelayThatWakesUpLateMovesNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.commit(order(1), "placed", "broken")
		w.bus.after = func(context.Context, []eventbus.Event) error {
			sqldbtest.Exec(t, db, `UPDATE lease SET epoch = epoch + 1`) // somebody else has it by now
			return nil
		}
		r := w.relay(db)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // it would go on for ever
		defer cancel()
		if err := r.Run(ctx); !errors.Is(err, sqldb.ErrFenced) {
			t.Errorf("got %v, want ErrFenced", err)
		}
		if at, parked := w.checkpoint(), w.deadLetters(r); at != 0 || len(parked) != 0 {
			t.Errorf("checkpoint %d, parked %s", at, dump(parked))
		}
	})
}

func TestEventsThatAreNoneOfOursMoveTheCheckpoint(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	types := make([]string, 1100)
	for i := range types {
		types[i] = "x"
	}
	w.write("customer-1", `{}`, types...)
	defer w.run(w.relay(w.db))()
	sqldbtest.Eventually(t, "the checkpoint moved", func() bool { return w.checkpoint() > 0 })
}

func TestARestartOfTheEventStoreStopsNothingForGood(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), esdbservertest.InDir(t.TempDir()))
	defer w.run(w.relay(w.db))()
	w.commit(order(1), "placed")
	w.caughtUp()
	w.server.Stop()
	w.server.Start()
	w.commit(order(1), "packed")
	w.caughtUp()
	if diff := cmp.Diff([]string{"1@0 placed", "1@1 packed"}, w.bus.published()); diff != "" {
		t.Error(diff)
	}
}

func TestOldPublicationsAreForgotten(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		for id, age := range map[string]time.Duration{"old": 8 * 24 * time.Hour, "young": 6 * 24 * time.Hour} {
			sqldbtest.Exec(t, db, `INSERT INTO relay_published (id, name, type, subject, sequence, correlation_id, causation_id, published_at)
				VALUES ($1, 'order', 't', 's', 0, '', '', $2)`, id, sqldb.Micros(time.Now().Add(-age)))
		}
		r := w.relay(db)
		defer w.run(r)()
		w.commit(order(1), "placed")
		sqldbtest.Eventually(t, "the old one was forgotten", func() bool {
			trace, err := r.Trace(t.Context(), "s")
			return err == nil && len(trace) == 1 && trace[0].ID == "young"
		})
	})
}
