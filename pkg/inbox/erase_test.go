package inbox_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

const forgotten = "order.events.forgotten.v1"

// about is an event that says something personal, and whose handler quotes it.
func about(typ, subject, id, says string) eventbus.Event {
	e := event(typ, subject, id)
	e.Data = json.RawMessage(`{"n":1,"says":"` + says + `"}`)
	return e
}

// erasing is a consumer whose handler of one type erases.
func erasing(t *testing.T, db sqldb.DB) *world {
	w := newWorld(t, db, inbox.Options{
		Poll: quick.Poll, BaseDelay: quick.BaseDelay, MaxDelay: quick.MaxDelay, MaxAttempts: quick.MaxAttempts,
		Personal: "order.events.", Forgotten: forgotten,
	})
	erasesWhen(w, forgotten)
	return w
}

func erasesWhen(w *world, typ string) {
	inbox.On(w.in, typ, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, _ payload) error {
		w.in.Erase(tx, e.Subject)
		return nil
	})
}

func quoting(says string) error { return inbox.Park(errors.New("cannot use " + says)) }

// everything is all that the tables of the inbox say.
func everything(t *testing.T, db sqldb.DB) string {
	t.Helper()
	data := map[sqldb.Dialect]string{sqldb.SQLite: `CAST(data AS TEXT)`, sqldb.Postgres: `encode(data, 'escape')`}[db.Dialect()]
	rows, err := db.Query(t.Context(), `SELECT subject || ' ' || reason FROM inbox
		UNION ALL SELECT subject || ' ' || reason || ' ' || `+data+` FROM inbox_held`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := sqldb.Collect(rows, func(r sqldb.Row) (line string, err error) { return line, r.Scan(&line) })
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestNothingOfAnErasedSubjectStaysParked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := erasing(t, db)
		w.when("parked", always(quoting("Quist")))
		w.when("twice", times(1, errors.New("not now, Quist")))
		w.when("other", always(quoting("Bob")))
		broken := eventbus.SetAside(eventbus.Event{Type: placed, Data: []byte(`{"id":"ann","name":"Quist"`)}, errors.New("cut off"))
		w.handle(t, about(placed, "ann", "parked", "Quist"), about(placed, "ann", "twice", "Quist"), about(placed, "bob", "other", "Bob"))
		if err := w.in.Handle(t.Context(), []eventbus.Delivery{broken}); err != nil {
			t.Fatal(err)
		}
		stop := w.run(t)
		w.waitNoneHeld(t, 3)
		if all := everything(t, db); strings.Count(all, "Quist") < 4 {
			t.Fatalf("not what is to be erased: %s", all)
		}
		w.handle(t, event(forgotten, "ann", "forget"))
		if all := everything(t, db); strings.Contains(all, "Quist") || !strings.Contains(all, "Bob") {
			t.Errorf("afterwards: %s", all)
		}
		// What was discarded is known, and handled no more.
		w.when("parked", nil)
		w.handle(t, about(placed, "ann", "parked", "Quist"))
		if diff := cmp.Diff([]string{"twice"}, w.effects(t, "ann")); diff != "" {
			t.Error(diff)
		}
		// What comes late is handled, or tried and given up, and not kept.
		w.when("late", always(errors.New("never, Quist")))
		w.handle(t, about(placed, "ann", "late", "Quist"), about(placed, "ann", "fine", "Quist"))
		w.waitNoneHeld(t, 1)
		if err := errors.Join(
			w.in.HandleDead(t.Context(), batch(about(placed, "ann", "dead", "Quist"))),
			w.in.Handle(t.Context(), []eventbus.Delivery{eventbus.SetAside(
				eventbus.Event{Type: placed, Data: []byte(`{"name":"Quist","id":"ann"`)}, errors.New("cut off"))}),
		); err != nil {
			t.Fatal(err)
		}
		stop()
		if all := everything(t, db); strings.Contains(all, "Quist") {
			t.Errorf("what came late: %s", all)
		}
		if diff := cmp.Diff([]string{"twice", "fine"}, w.effects(t, "ann")); diff != "" {
			t.Error(diff)
		}
		if w.called("late") != quick.MaxAttempts {
			t.Errorf("tried %d times", w.called("late"))
		}
	})
}

// TestNobodyWaitsForWhatIsHeldToBeForgotten has delays of an hour: what is held is
// tried once more when the event behind it says that its subject is forgotten, and
// not again and again before.
func TestNobodyWaitsForWhatIsHeldToBeForgotten(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, inbox.Options{
			Poll: quick.Poll, BaseDelay: time.Hour, MaxDelay: time.Hour, Personal: "order.events.", Forgotten: forgotten,
		})
		erasesWhen(w, forgotten)
		w.when("never", always(errors.New("not now, Quist")))
		w.when("twice", times(1, errors.New("not now, Quist")))
		w.when("other", always(errors.New("not now, Bob")))
		w.run(t)
		w.handle(t, about(placed, "ann", "twice", "Quist"), about(placed, "ann", "never", "Quist"), about(placed, "bob", "other", "Bob"))
		w.handle(t, about(placed, "ann", "behind", "Quist"), event(forgotten, "ann", "forget"), about(placed, "ann", "after", "Quist"))
		sqldbtest.Eventually(t, "only what is others' is held", func() bool { held, parked := w.backlog(t); return held == 1 && parked == 0 })
		if diff := cmp.Diff([]string{"twice", "behind", "after"}, w.effects(t, "ann")); diff != "" {
			t.Error(diff)
		}
		if all := everything(t, db); strings.Contains(all, "Quist") || !strings.Contains(all, "Bob") {
			t.Errorf("afterwards: %s", all)
		}
		if w.called("other") != 1 || w.called("never") != 1 {
			t.Errorf("tried %d and %d times", w.called("other"), w.called("never"))
		}
	})
}

// TestNoReasonOutlivesAnErasedSubject has events come late that are handled, or
// given up by a person, after attempts whose reasons quote them.
func TestNoReasonOutlivesAnErasedSubject(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := erasing(t, db)
		w.handle(t, event(forgotten, "ann", "forget"))
		w.when("late", times(1, errors.New("not now, Quist")))
		w.when("given up", always(errors.New("not now, Quist")))
		w.handle(t, about(placed, "ann", "late", "Quist"))
		stop := w.run(t)
		w.waitNoneHeld(t, 0)
		stop()
		w.handle(t, about(placed, "ann", "given up", "Quist"))
		if err := w.in.Discard(t.Context(), "given up"); err != nil {
			t.Fatal(err)
		}
		if all := everything(t, db); strings.Contains(all, "Quist") {
			t.Errorf("afterwards: %s", all)
		}
	})
}

// TestNoStatisticsKeepWhatAnInboxHolds has PostgreSQL look at what is held.
func TestNoStatisticsKeepWhatAnInboxHolds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := erasing(t, db)
		for n := range 9 {
			id := fmt.Sprint("e", n)
			w.when(id, times(1, quoting("Quist "+id)))
			w.handle(t, about(placed, "ann", id, "Quist "+id))
		}
		for n := range 4 {
			if err := w.in.Discard(t.Context(), fmt.Sprint("e", n)); err != nil {
				t.Fatal(err)
			}
		}
		if kept := sqldbtest.Statistics(t, db); strings.Contains(kept, "Quist") || strings.Contains(kept, hex.EncodeToString([]byte("Quist"))) {
			t.Errorf("kept: %s", kept)
		}
	})
}

// TestErasedBytesAreInNoFile also has an event come late, which passes through
// and leaves its bytes behind once more.
func TestErasedBytesAreInNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db, err := sqldb.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := erasing(t, db)
	w.when("parked", always(quoting("Quist")))
	w.handle(t, about(placed, "ann", "parked", "Quist"), event(forgotten, "ann", "forget"))
	if !inFiles(t, path, "Quist") {
		t.Fatal("looked in the wrong place: no file has it")
	}
	calls := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- w.in.Scrub(ctx, func(context.Context) error { calls <- struct{}{}; return nil })
	}()
	<-calls
	sqldbtest.Eventually(t, "no file has it", func() bool { return !inFiles(t, path, "Quist") })
	w.when("late", always(quoting("Quist")))
	w.handle(t, about(placed, "ann", "late", "Quist"), about(placed, "ann", "fine", "Quist"))
	<-calls
	sqldbtest.Eventually(t, "no file has it again", func() bool { return !inFiles(t, path, "Quist") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// What has to be done once more is known to another process.
	other := attach(db, quick)
	if n := sqldbtest.Count(t, db, `SELECT count(*) FROM inbox_erased WHERE due_at > 0`); n != 1 {
		t.Errorf("%d subjects are due again", n)
	}
	sqldbtest.Exec(t, db, `UPDATE inbox_erased SET due_at = 1`)
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		done <- other.in.Scrub(ctx, func(context.Context) error { calls <- struct{}{}; return nil })
	}()
	<-calls
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestScrubbingThatFailsIsDue(t *testing.T) {
	db := sqldbtest.SQLite(t)
	w := erasing(t, db)
	w.handle(t, event(forgotten, "ann", "forget"))
	busFails := errors.New("bus fails")
	if err := w.in.Scrub(t.Context(), func(context.Context) error { return busFails }); !errors.Is(err, busFails) {
		t.Errorf("ended with %v", err)
	}
	if n := sqldbtest.Count(t, db, `SELECT count(*) FROM inbox_erased WHERE sweeps = 0 AND due_at > 0`); n != 1 {
		t.Error("it is not due any more")
	}
}

func inFiles(t *testing.T, path, text string) bool {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), text) {
			return true
		}
	}
	return false
}
