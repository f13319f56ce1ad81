package inbox_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestInstancesTryAHeldSubjectInOrderAndEachEventOnce(t *testing.T) {
	kinds(t, func(t *testing.T, w *world, typ string) {
		others := []*world{attach(w.db, quick), attach(w.db, quick)}
		events := series(typ, "a", 40)
		w.when("a-000", always(errHandler))
		w.handle(t, events...)
		once := times(1, errHandler)
		for _, v := range append(others, w) {
			v.when("a-000", nil)
			v.when("a-020", once)
			v.run(t)
		}
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff(ids(events), w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnInstanceWaitsForTheOtherToFinishTheSubject(t *testing.T) {
	for name, typ := range map[string]string{"On": placed, "Do": moved} {
		t.Run(name, func(t *testing.T) {
			db := sqldbtest.Postgres(t) // the buses for SQLite give a subject to one consumer at a time
			first := newWorld(t, db, quick)
			second := attach(db, quick)
			began, finish := make(chan struct{}), make(chan struct{})
			first.when("a-000", func() error {
				close(began)
				<-finish
				return nil
			})
			events := series(typ, "a", 2)
			var group sync.WaitGroup
			group.Go(func() {
				if err := first.in.Handle(t.Context(), batch(events[0])); err != nil {
					t.Error(err)
				}
			})
			<-began
			group.Go(func() {
				if err := second.in.Handle(t.Context(), batch(events[1])); err != nil {
					t.Error(err)
				}
			})
			sqldbtest.Eventually(t, "the second waited for the lock", func() bool {
				return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
					WHERE l.locktype = 'advisory' AND NOT l.granted AND a.application_name = current_schema()`) == 1
			})
			if second.called("a-001") != 0 {
				t.Error("the second began meanwhile")
			}
			second.handle(t, event(typ, "b", "b-000")) // another subject is free
			close(finish)
			group.Wait()
			if diff := cmp.Diff(ids(events), first.effects(t, "a")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARetryWhoseAnswerIsLostHasOneEffect(t *testing.T) {
	cuttable(t, func(t *testing.T, w *world, db *sqldbtest.Cuttable, typ string) {
		events := series(typ, "a", 3)
		w.when("a-000", always(errHandler))
		w.handle(t, events...)
		w.when("a-000", behaviour(losesAnswer, db))
		w.run(t)
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff(ids(events), w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAConsumerThatMayTryOnceParksAtOnce(t *testing.T) {
	for name, typ := range map[string]string{"On": placed, "Do": moved} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
				options := quick
				options.MaxAttempts = 1
				w := newWorld(t, db, options)
				w.when("a-000", always(errHandler))
				w.handle(t, series(typ, "a", 3)...)
				if held, parked := w.backlog(t); held != 0 || parked != 1 {
					t.Errorf("%d held, %d parked; want 0 and 1", held, parked)
				}
				if diff := cmp.Diff([]string{"a-001", "a-002"}, w.effects(t, "")); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAConsumerRecoversFromARestartOfTheServer(t *testing.T) {
	for name, typ := range map[string]string{"On": placed, "Do": moved} {
		t.Run(name, func(t *testing.T) {
			url := sqldbtest.PostgresURL(t)
			db, err := sqldb.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			w := newWorld(t, db, quick)
			events := series(typ, "a", 6)
			w.when("a-001", func() error {
				w.when("a-001", nil)
				sqldbtest.KillConnections(t, url) // those of the running batch among them
				return errHandler
			})
			w.when("a-003", times(1, errHandler))
			w.run(t)
			sqldbtest.Eventually(t, "the batch was acknowledged", func() bool {
				return w.in.Handle(t.Context(), batch(events...)) == nil
			})
			w.waitNoneHeld(t, 0)
			if diff := cmp.Diff(ids(events), w.effects(t, "")); diff != "" {
				t.Error(diff)
			}
			sqldbtest.Eventually(t, "it was ready again", func() bool { return w.in.Ready() == nil })
		})
	}
}

func TestConsumersInOneDatabaseDoNotMeet(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		other := inbox.New(db, "reporting", slog.New(slog.DiscardHandler), quick)
		other.OnAny("#", w.effect)
		w.when("a-000", always(errHandler))
		w.handle(t, series(placed, "a", 2)...)
		w.when("a-000", nil)
		if err := other.Handle(t.Context(), batch(series(placed, "a", 2)...)); err != nil {
			t.Fatal(err)
		}
		if got, want := other.Stats(), (inbox.Stats{Handled: 2}); got != want {
			t.Errorf("the other consumer counted %+v, want %+v", got, want)
		}
		if held, _ := w.backlog(t); held != 2 {
			t.Errorf("%d held, want 2", held)
		}
	})
}
