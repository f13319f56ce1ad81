package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

const (
	counted = "stock.events.counted.v1" // has an OnBatch handler
	removed = "stock.events.removed.v1" // and so has this
)

// batched is a world whose batch handlers leave one effect an event, and say
// how large their batches were.
func batched(t *testing.T, db sqldb.DB, sizes *[]int) *world {
	t.Helper()
	w := newWorld(t, db, quick)
	for _, typ := range []string{counted, removed} {
		inbox.OnBatch(w.in, typ, func(_ context.Context, tx sqldb.Tx, batch []inbox.Item[payload]) error {
			*sizes = append(*sizes, len(batch))
			var args []any
			for _, it := range batch {
				args = append(args, it.Event.Subject, it.Event.ID)
			}
			sqldb.QueueRows(tx, `INSERT INTO effect (subject, id)`, 2, args, "")
			for _, it := range batch {
				if err := w.fail(it.Event); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return w
}

func TestABatchHandlerGetsWhatArrivedTogether(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		var sizes []int
		w := batched(t, db, &sizes)
		var events []eventbus.Event
		for i := range 40 {
			typ := counted
			if i%4 == 0 {
				typ = placed // in between
			}
			events = append(events, event(typ, fmt.Sprint("s", i), fmt.Sprintf("e%02d", i)))
		}
		w.handle(t, events...)
		w.handle(t, events...)
		if diff := cmp.Diff([]int{30}, sizes); diff != "" {
			t.Errorf("sizes of batches: %s", diff)
		}
		got := w.effects(t, "")
		slices.Sort(got)
		if diff := cmp.Diff(ids(events), got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestABatchNeverHasTwoEventsOfOneSubjectAndKeepsTheirOrder(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		var sizes []int
		w := batched(t, db, &sizes)
		events := []eventbus.Event{
			event(counted, "a", "a0"), event(counted, "b", "b0"), event(removed, "a", "a1"), event(counted, "a", "a2"),
			event(counted, "a", "a3"), event(placed, "a", "a4"), event(counted, "b", "b1"), event(removed, "a", "a5"), event(counted, "a", "a6"),
		}
		w.handle(t, events...)
		for _, subject := range []string{"a", "b"} {
			var want []string
			for _, e := range events {
				if e.Subject == subject {
					want = append(want, e.ID)
				}
			}
			if diff := cmp.Diff(want, w.effects(t, subject)); diff != "" {
				t.Errorf("effects of %s: %s", subject, diff)
			}
		}
		if sizes[0] != 2 || len(sizes) != 6 {
			t.Errorf("batches of %v, want those of two subjects together", sizes)
		}
	})
}

func TestTheGuiltyEventOfABatchIsFoundAndTheOthersFlow(t *testing.T) {
	for name, guilty := range map[string]func(w *world, events []eventbus.Event){
		"the handler fails":      func(w *world, _ []eventbus.Event) { w.when("e37", always(errHandler)) },
		"it panics":              func(w *world, _ []eventbus.Event) { w.when("e37", func() error { panic("boom") }) },
		"its data is unreadable": func(_ *world, events []eventbus.Event) { events[37].Data = []byte(`{"n":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
				var sizes []int
				w := batched(t, db, &sizes)
				var events []eventbus.Event
				for i := range 60 {
					events = append(events, event(counted, fmt.Sprint("s", i), fmt.Sprintf("e%02d", i)))
				}
				guilty(w, events)
				w.handle(t, events...)
				held, parked := w.backlog(t)
				if n := len(w.effects(t, "")); n != 59 || held+parked != 1 {
					t.Errorf("%d handled, %d held, %d parked; want 59 and one of the others", n, held, parked)
				}
				if letter := w.letter(t, "e37"); letter.Attempts != 1 {
					t.Errorf("kept as %+v", letter)
				}
				if len(sizes) > 20 {
					t.Errorf("it took %d calls to find one of 60", len(sizes))
				}
			})
		})
	}
}

// TestAQueuedStatementThatFailsIsFoundToBeItsEventsFault has a statement whose
// error shows only when others are sent, or at the commit.
func TestAQueuedStatementThatFailsIsFoundToBeItsEventsFault(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		sqldbtest.Exec(t, db, `CREATE TABLE stock (sku TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n > 0))`)
		inbox.On(w.in, counted, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data payload) error {
			tx.Queue(`INSERT INTO stock (sku, n) VALUES ($1, $2)`, e.ID, data.N)
			return nil
		})
		var events []eventbus.Event
		for i := range 30 {
			e := event([]string{counted, placed}[i%2], fmt.Sprint("s", i), fmt.Sprintf("e%02d", i))
			if i == 12 || i == 28 {
				e.Data = []byte(`{"n":-1}`)
			}
			events = append(events, e)
		}
		w.handle(t, events...)
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM stock`) + len(w.effects(t, "")); n != 28 {
			t.Errorf("%d effects, want 28", n)
		}
		for _, id := range []string{"e12", "e28"} {
			if letter := w.letter(t, id); letter.Attempts != 1 || !strings.Contains(strings.ToLower(letter.Reason), "check") {
				t.Errorf("kept as %+v", letter)
			}
		}
		if held, parked := w.backlog(t); held != 2 || parked != 0 {
			t.Errorf("%d held, %d parked; want 2 and 0", held, parked)
		}
	})
}

func TestABatchHandlerTriesAHeldEventAlone(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		var sizes []int
		w := batched(t, db, &sizes)
		w.when("a-000", times(2, errors.New("not yet")))
		w.handle(t, series(counted, "a", 3)...)
		w.run(t)
		w.waitNoneHeld(t, 0)
		if diff := cmp.Diff([]string{"a-000", "a-001", "a-002"}, w.effects(t, "")); diff != "" {
			t.Error(diff)
		}
	})
}
