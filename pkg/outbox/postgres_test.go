package outbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
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
