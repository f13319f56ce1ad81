package inbox_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func inLanes(n int) inbox.Options {
	options := quick
	options.Lanes = n
	return options
}

func TestLanesRunSideBySide(t *testing.T) {
	w := newWorld(t, sqldbtest.Postgres(t), inLanes(2))
	meet, met := make(chan struct{}), make(chan struct{})
	inbox.On(w.in, counted, func(ctx context.Context, _ sqldb.Tx, _ eventbus.Event, _ payload) error {
		select {
		case <-met:
		case meet <- struct{}{}: // the other lane is here as well
			close(met)
		case <-meet:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	})
	var events []eventbus.Event
	for i := range 64 { // not all of them fall into one lane
		events = append(events, event(counted, fmt.Sprint("s", i), fmt.Sprint("e", i)))
	}
	w.handle(t, events...)
	if got, want := w.in.Stats(), (inbox.Stats{Handled: 64}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestLanesKeepTheOrderOfEachSubject(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, inLanes(4))
		var events []eventbus.Event
		want := map[string][]string{}
		for i := range 200 {
			subject := fmt.Sprint("s", i*i%11)
			e := event([]string{placed, packed, moved}[i/40%3], subject, fmt.Sprintf("%s-%03d", subject, i))
			events = append(events, e)
			want[subject] = append(want[subject], e.ID)
		}
		w.when(events[17].ID, times(1, errHandler))
		w.when(events[90].ID, times(2, errHandler))
		w.run(t)
		w.handle(t, events...)
		w.waitNoneHeld(t, 0)
		w.handle(t, events...)
		for subject, ids := range want {
			if diff := cmp.Diff(ids, w.effects(t, subject)); diff != "" {
				t.Errorf("effects of %s: %s", subject, diff)
			}
		}
	})
}

// TestLanesThatDeadlockOverSharedRowsLoseNothing has handlers that update the
// same two rows crosswise.
func TestLanesThatDeadlockOverSharedRowsLoseNothing(t *testing.T) {
	db := sqldbtest.Postgres(t)
	w := newWorld(t, db, inLanes(2))
	sqldbtest.Exec(t, db, `CREATE TABLE total (name TEXT PRIMARY KEY, n BIGINT NOT NULL)`)
	sqldbtest.Exec(t, db, `INSERT INTO total VALUES ('x', 0), ('y', 0)`)
	meet := make(chan struct{})
	inbox.On(w.in, counted, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ payload) error {
		names := []string{"x", "y"}
		if e.Sequence%2 == 1 {
			names = []string{"y", "x"}
		}
		if _, err := tx.Exec(ctx, `UPDATE total SET n = n + 1 WHERE name = $1`, names[0]); err != nil {
			return err
		}
		if w.called(e.ID) == 0 { // both hold one row and want the other, at the first try
			select {
			case meet <- struct{}{}:
			case <-meet:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		_ = w.fail(e) // counts
		_, err := tx.Exec(ctx, `UPDATE total SET n = n + 1 WHERE name = $1`, names[1])
		return err
	})
	a, b := event(counted, "a", "a"), event(counted, "b", "b")
	for n := 0; w.in.Lane(b.Subject) == w.in.Lane(a.Subject); n++ {
		b.Subject = fmt.Sprint("b", n)
	}
	a.Sequence, b.Sequence = 0, 1
	w.handle(t, a, b)
	for _, name := range []string{"x", "y"} {
		if n := sqldbtest.Count(t, db, `SELECT n FROM total WHERE name = $1`, name); n != 2 {
			t.Errorf("%s is %d, want 2", name, n)
		}
	}
}
