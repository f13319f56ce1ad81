package outbox_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestALowerNumberThatCommitsLaterIsNotLost(t *testing.T) {
	db := sqldbtest.Postgres(t)
	bus := &fakeBus{}
	o := newOutbox(t, db, bus, quick)
	start(t, o)
	began, finish, finished := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		finished <- db.Update(t.Context(), func(tx sqldb.Tx) error {
			if err := o.Add(t.Context(), tx, cause.Cause{}, event("lower", "a")); err != nil {
				return err
			}
			close(began)
			<-finish
			return nil
		})
	}()
	<-began
	add(t, db, o, event("higher", "b"))
	waitSent(t, o) // a transaction that stays open holds up nobody
	if diff := cmp.Diff([]string{"higher"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
	close(finish)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	waitSent(t, o)
	if diff := cmp.Diff([]string{"higher", "lower"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestANumberThatWasHeldUpIsNotOvertakenByItsSuccessor(t *testing.T) {
	eachPostgres(t, func(t *testing.T, w *world) {
		bus := &fakeBus{}
		options := w.quick
		options.Window = 2
		o := newOutbox(t, w.db, bus, options)
		w.start(t, o)
		asked, release := make(chan struct{}, 10), make(chan struct{})
		bus.set(func(context.Context, []eventbus.Event) error {
			asked <- struct{}{}
			<-release
			return nil
		})
		began, finish, finished := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			finished <- w.db.Update(t.Context(), func(tx sqldb.Tx) error {
				if err := o.Add(t.Context(), tx, cause.Cause{}, event("a1", "a")); err != nil {
					return err
				}
				close(began)
				<-finish
				return nil
			})
		}()
		<-began
		add(t, w.db, o, event("b1", "b"), event("b2", "b"))
		<-asked // higher numbers have been read, and are on their way
		close(finish)
		if err := <-finished; err != nil {
			t.Fatal(err)
		}
		add(t, w.db, o, event("a2", "a"))
		close(release)
		waitSent(t, o)
		if diff := cmp.Diff([]string{"b1", "b2", "a1", "a2"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAListenerThatIsLostIsReplaced(t *testing.T) {
	w := newPostgres(t, outbox.Polling)
	bus := &fakeBus{}
	options := w.quick
	options.Poll = time.Hour // nothing but being woken helps
	o := newOutbox(t, w.db, bus, options)
	start(t, o)
	otherDB := connect(t, w.url)
	other := newOutbox(t, otherDB, bus, options)
	listener := func() (pid int) {
		eventually(t, "the publisher listened", func() bool {
			err := otherDB.QueryRow(t.Context(), `SELECT pid FROM pg_stat_activity
				WHERE application_name = current_schema() AND query = 'LISTEN orderflow_outbox' AND state = 'idle'`).Scan(&pid)
			return err == nil
		})
		return pid
	}
	first := listener()
	start(t, other)
	eventually(t, "the other one stood by", func() bool { return other.Ready() == nil })
	add(t, otherDB, other, event("one", "a"))
	waitSent(t, o)
	sqldbtest.Exec(t, otherDB, `SELECT pg_terminate_backend($1)`, first)
	eventually(t, "another connection listened", func() bool { return listener() != first })
	add(t, otherDB, other, event("two", "a"))
	waitSent(t, o)
}

func TestRemovingSentRowsKeepsNobodyWaiting(t *testing.T) {
	eachPostgres(t, func(t *testing.T, w *world) {
		bus := &fakeBus{}
		options := w.quick
		options.Retention = time.Hour
		options.StatementTimeout = time.Hour // time must not be what lets publishing go on
		o := newOutbox(t, w.db, bus, options)
		stop := w.start(t, o)
		add(t, w.db, o, event("template", "a"))
		waitSent(t, o)
		stop()
		sqldbtest.Exec(t, w.db, `INSERT INTO outbox (id, source, type, subject, time, content_type, data, correlation_id, causation_id,
				trace_parent, sequence, request, requested_at, added_at, sent_at, announced)
			SELECT 'old-' || n, source, type, subject, time, content_type, data, correlation_id, causation_id,
				trace_parent, sequence, request, requested_at, added_at, 1, n + 1 FROM outbox, generate_series(1, 5000) AS n`)
		sqldbtest.Exec(t, w.db, `UPDATE outbox SET sent_at = 1`)
		locked, release, released := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			released <- w.db.Update(t.Context(), func(tx sqldb.Tx) error {
				// What removing comes to after some batches.
				if _, err := tx.Exec(t.Context(), `UPDATE outbox SET sent_at = 2 WHERE id = 'old-3000'`); err != nil {
					return err
				}
				close(locked)
				<-release
				return nil
			})
		}()
		<-locked
		left := func() int { return sqldbtest.Count(t, w.db, `SELECT count(*) FROM outbox WHERE id LIKE 'old-%'`) }
		w.start(t, o)
		eventually(t, "some were removed", func() bool { return left() < 5000 })
		for n := range 50 {
			add(t, w.db, o, event(fmt.Sprint("new-", n), "a"))
			waitSent(t, o)
		}
		if left() == 0 {
			t.Fatal("the test is wrong: nothing kept the removing waiting")
		}
		close(release)
		if err := <-released; err != nil {
			t.Fatal(err)
		}
		eventually(t, "all were removed", func() bool { return left() == 0 })
	})
}

func TestWithoutBeingWokenPollingFindsTheRows(t *testing.T) {
	w := newPostgres(t, outbox.Polling)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	start(t, o)
	// Nobody runs beside this one who could pass its commits on.
	add(t, w.db, newOutbox(t, w.db, bus, w.quick), event("one", "a"))
	waitSent(t, o)
}

func TestACommitInAnotherProcessWakesThePublisher(t *testing.T) {
	url := sqldbtest.PostgresURL(t)
	bus := &fakeBus{}
	options := quick
	options.Poll = time.Hour // nothing but being woken helps
	open := func() sqldb.DB {
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	first := newOutbox(t, open(), bus, options)
	otherDB := open()
	other := newOutbox(t, otherDB, bus, options)
	start(t, first)
	eventually(t, "the publisher listened", func() bool {
		return sqldbtest.Count(t, otherDB, `SELECT count(*) FROM pg_stat_activity
			WHERE application_name = current_schema() AND query = 'LISTEN orderflow_outbox'`) == 1
	})
	start(t, other)
	eventually(t, "the other one stood by", func() bool { return other.Ready() == nil })
	for _, id := range []string{"one", "two", "three"} {
		add(t, otherDB, other, event(id, "a"))
		waitSent(t, other)
	}
	if other.Stats().Sent != 0 {
		t.Error("the one that stands by published")
	}
}

func TestTheListenerComesBackAfterARestartOfTheServer(t *testing.T) {
	url := sqldbtest.PostgresURL(t)
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	bus := &fakeBus{}
	o := newOutbox(t, db, bus, quick)
	start(t, o)
	add(t, db, o, event("one", "a"))
	waitSent(t, o)
	sqldbtest.KillConnections(t, url)
	eventually(t, "adding worked again", func() bool {
		err := db.Update(t.Context(), func(tx sqldb.Tx) error { return o.Add(t.Context(), tx, cause.Cause{}, event("two", "a")) })
		if err != nil && !sqldb.IsUnavailable(err) {
			t.Fatalf("%v is no outage", err)
		}
		return err == nil
	})
	eventually(t, "it was sent", func() bool {
		n, err := o.Pending(t.Context())
		return err == nil && n == 0
	})
	if diff := cmp.Diff([]string{"one", "two"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
	eventually(t, "it says that it is ready", func() bool { return o.Ready() == nil })
}
