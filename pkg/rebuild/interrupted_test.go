package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

var errDied = errors.New("the process has died")

// mortal is a database as a process sees it that dies after so many steps:
// before a statement, inside a transaction, or between a commit and its answer.
type mortal struct {
	sqldb.DB

	steps atomic.Int64
	die   func()
}

func (m *mortal) lives() bool {
	left := m.steps.Add(-1)
	if left == 0 {
		m.die()
	}
	return left > 0
}

func (m *mortal) Query(ctx context.Context, sql string, args ...any) (sqldb.Rows, error) {
	if !m.lives() {
		return nil, errDied
	}
	return m.DB.Query(ctx, sql, args...)
}

func (m *mortal) Update(ctx context.Context, fn func(sqldb.Tx) error) error {
	if !m.lives() {
		return errDied
	}
	err := m.DB.Update(ctx, func(tx sqldb.Tx) error {
		err := fn(tx)
		if err == nil && !m.lives() {
			err = errDied
		}
		return err
	})
	if err == nil && !m.lives() {
		err = errDied
	}
	return err
}

// dying runs one process after the other, each of which dies after a few more
// steps, until stop.
func (w *world) dying() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var processes sync.WaitGroup
	processes.Go(func() {
		for most := int64(10); ctx.Err() == nil; most += 3 {
			life, die := context.WithCancel(ctx)
			db := &mortal{DB: w.db, die: die}
			db.steps.Store(1 + rand.Int64N(most))
			r := rebuild.New(db, w.url, w.model, slog.New(slog.DiscardHandler), rebuild.Options{
				Poll: 5 * time.Millisecond, Patience: time.Minute, LeaseTTL: 200 * time.Millisecond,
			})
			for life.Err() == nil {
				_ = r.Run(life) // it ends with whatever it was doing
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); processes.Wait() })
	w.t.Cleanup(stop)
	return stop
}

// Wherever the process dies, what was asked for is done in the end, once, and
// nothing is left beside the live model.
func TestARebuildWhoseProcessesDieAnywhereEndsAsItShould(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		var swaps atomic.Int32
		w.model.Swapped = func() { swaps.Add(1) }
		for n := range 100 {
			w.say(fmt.Sprint("s", n), "word", n)
		}
		w.has(100)
		sqldbtest.Exec(t, w.db, `DELETE FROM letter`)
		stop := w.dying()
		for range 2 {
			w.begin()
			w.replay()
			w.finish(rebuild.Check)
			w.becomes(rebuild.Same)
			w.finish(rebuild.Swap)
			if state := w.becomes(rebuild.Swapped); len(state.Differences) > 0 {
				t.Errorf("found %v", state.Differences)
			}
			w.gone()
			w.begin()
			if _, err := w.rebuild.Cancel(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.becomes(rebuild.Cancelled)
			w.gone()
		}
		stop()
		w.say("later", "word", 1)
		w.has(101)
		if n := swaps.Load(); n > 2 {
			t.Errorf("two swaps were made %d times", n)
		}
		if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM letter`); n != 1 {
			t.Errorf("%d letters were written, want that of later", n)
		}
	})
}
