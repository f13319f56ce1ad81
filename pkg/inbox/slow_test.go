package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// tuned returns an empty PostgreSQL database with parameters in its URL.
func tuned(t *testing.T, parameters map[string]string) sqldb.DB {
	t.Helper()
	address, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	for name, value := range parameters {
		query.Set(name, value)
	}
	address.RawQuery = query.Encode()
	return opened(t, address.String())
}

func opened(t *testing.T, url string) sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// scattered makes events of as many subjects.
func scattered(typ string, n int) []eventbus.Event {
	events := make([]eventbus.Event, n)
	for i := range events {
		events[i] = event(typ, fmt.Sprint("s", i), fmt.Sprintf("e%02d", i))
	}
	return events
}

// wantOneFailed checks that all events but one, which failed once, were handled.
func wantOneFailed(t *testing.T, w *world, events []eventbus.Event, guilty string) {
	t.Helper()
	if n := len(w.effects(t, "")); n != len(events)-1 {
		t.Errorf("%d of %d events were handled, want all but one", n, len(events))
	}
	if letter := w.letter(t, guilty); letter.Attempts != 1 {
		t.Errorf("kept as %+v", letter)
	}
	if held, parked := w.backlog(t); held != 1 || parked != 0 {
		t.Errorf("%d held, %d parked; want 1 and 0", held, parked)
	}
}

// TestAnEventTheDatabaseCannotSettleInTimeDoesNotStopTheOthers has one event in
// a batch that the database works at, waits for or gives up each time.
func TestAnEventTheDatabaseCannotSettleInTimeDoesNotStopTheOthers(t *testing.T) {
	for name, statement := range map[string]string{
		"it is too slow":        `SELECT pg_sleep(600)`,
		"another has the row":   `UPDATE stock SET n = n + 1`,
		"its lock has a limit":  `DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '55P03'; END $$`,
		"it deadlocks for ever": `DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$`,
	} {
		for _, queued := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/queued=%t", name, queued), func(t *testing.T) {
				t.Parallel()
				db := tuned(t, map[string]string{"answer_within": "1s"})
				w := newWorld(t, db, quick)
				sqldbtest.Exec(t, db, `CREATE TABLE stock (n BIGINT NOT NULL)`)
				sqldbtest.Exec(t, db, `INSERT INTO stock VALUES (0)`)
				release := lockStock(t, db)
				defer release()
				events := scattered(counted, 20)
				inbox.On(w.in, counted, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ payload) error {
					if err := w.effect(ctx, tx, e); err != nil || e.ID != "e13" {
						return err
					}
					if queued {
						tx.Queue(statement)
						return nil
					}
					_, err := tx.Exec(ctx, statement)
					return err
				})
				if err := w.in.Handle(t.Context(), batch(events...)); err != nil {
					t.Fatalf("%v stopped the consumer", err)
				}
				wantOneFailed(t, w, events, "e13")
				if name == "another has the row" {
					release()
					w.run(t)
					w.waitNoneHeld(t, 0)
				}
			})
		}
	}
}

// lockStock locks the rows of the table until release.
func lockStock(t *testing.T, db sqldb.DB) (release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	locked, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = db.Update(ctx, func(tx sqldb.Tx) error { // it is rolled back
			_, err := tx.Exec(ctx, `UPDATE stock SET n = n - 1`)
			close(locked)
			<-ctx.Done()
			return errors.Join(err, ctx.Err())
		})
	}()
	<-locked
	return func() {
		cancel()
		<-ended
	}
}

// TestSubjectsThatAnotherInstanceHasForLongCountNoAttempt has a transaction of
// another instance, which has an effect elsewhere and takes its time.
func TestSubjectsThatAnotherInstanceHasForLongCountNoAttempt(t *testing.T) {
	db := tuned(t, map[string]string{"answer_within": "1s"})
	w, other := newWorld(t, db, quick), attach(db, quick)
	begun, done, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	other.when("a-000", func() error { close(begun); <-done; return nil })
	go func() { ended <- other.in.Handle(context.WithoutCancel(t.Context()), batch(series(moved, "a", 1)...)) }()
	<-begun
	later := event(placed, "a", "a-001")
	err := w.in.Handle(t.Context(), batch(later))
	if err == nil || !strings.Contains(err.Error(), "another instance") {
		t.Errorf("got %v, want that another instance has the subject", err)
	}
	w.run(t)
	sqldbtest.Eventually(t, "it said that it is not ready", func() bool { return w.in.Ready() != nil })
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.handle(t, later)
	if got, want := w.in.Stats(), (inbox.Stats{Handled: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if diff := cmp.Diff([]string{"a-000", "a-001"}, w.effects(t, "a")); diff != "" {
		t.Error(diff)
	}
}

// TestASQLiteFileThatAnotherWriterHasIsNotTheEventsFault: there nobody can write
// anything meanwhile, so parts of the batch would fare no better.
func TestASQLiteFileThatAnotherWriterHasIsNotTheEventsFault(t *testing.T) {
	t.Parallel() // the driver waits for ten seconds
	url := sqldbtest.SQLiteURL(t)
	w, other := newWorld(t, opened(t, url), quick), opened(t, url)
	events := scattered(placed, 4)
	err := other.Update(t.Context(), func(sqldb.Tx) error {
		if err := w.in.Handle(t.Context(), batch(events...)); !sqldb.IsUnavailable(err) {
			t.Errorf("got %v, want one that says the database cannot be used", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.handle(t, events...)
	if got, want := w.in.Stats(), (inbox.Stats{Handled: 4}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// TestHandlersThatAreSlowTogetherAreDivided has a server that ends a transaction
// which idles for as long as the handlers of the batch need.
func TestHandlersThatAreSlowTogetherAreDivided(t *testing.T) {
	db := tuned(t, map[string]string{"idle_in_transaction_session_timeout": "2s"})
	options := quick
	options.Timeout = 400 * time.Millisecond
	w := newWorld(t, db, options)
	inbox.On(w.in, counted, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, _ payload) error {
		tx.Queue(`INSERT INTO effect (subject, id) VALUES ($1, $2)`, e.Subject, e.ID)
		<-time.After(options.Timeout / 5)
		return nil
	})
	events := scattered(counted, 40)
	w.handle(t, events...)
	w.run(t)
	w.waitNoneHeld(t, 0)
	if n := len(w.effects(t, "")); n != len(events) {
		t.Errorf("%d effects, want %d", n, len(events))
	}
}

func TestAHandlerThatDoesNotEndInTimeIsAFailedAttemptEvenIfItSucceeds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		options := quick
		options.Timeout = 200 * time.Millisecond
		w := newWorld(t, db, options)
		w.when("e03", func() error { <-time.After(options.Timeout + 50*time.Millisecond); return nil })
		events := scattered(placed, 6)
		w.handle(t, events...)
		wantOneFailed(t, w, events, "e03")
	})
}
