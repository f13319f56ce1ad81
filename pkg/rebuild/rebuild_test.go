package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestAModelThatIsRightIsFoundTheSameAndSwapped(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.run(w.rebuild)
		for n := range 300 {
			w.say(fmt.Sprint("s", n%40), fmt.Sprint("w", n), n)
		}
		sqldbtest.Eventually(t, "all is handled", func() bool { return sqldbtest.Count(t, w.db, `SELECT count(*) FROM inbox`) == 300 })
		swapped := make(chan struct{}, 1)
		w.model.Swapped = func() { swapped <- struct{}{} }
		sqldbtest.Exec(t, w.db, `DELETE FROM letter`)
		w.begin()
		w.replay()
		w.finish(rebuild.Check)
		if s := w.becomes(rebuild.Same); s.Compared != 40 || len(s.Differences) != 0 {
			t.Errorf("compared: %+v", s)
		}
		w.finish(rebuild.Swap)
		w.becomes(rebuild.Swapped)
		w.gone()
		// What is no part of the model stays as it was: no letter is written.
		if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM letter`); n != 0 {
			t.Errorf("%d letters were written", n)
		}
		// The new tables take what comes, with their indexes and generated columns.
		w.say("s1", "later", 1000)
		w.say("new", "later", 1001)
		w.has(41)
		if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM word WHERE word = 'later' AND twice = n * 2`); n != 2 {
			t.Errorf("%d of 2 later words", n)
		}
		// And another rebuild can begin.
		w.begin()
		w.replay()
		w.finish(rebuild.Swap)
		w.becomes(rebuild.Swapped)
		w.has(41)
		w.gone()
	})
}

func TestWhatIsWrongInTheLiveModelIsFoundAndMendedOnlyWhenAsked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.run(w.rebuild)
		for n := range 30 {
			w.say(fmt.Sprint("s", n), "word", n)
		}
		w.has(30)
		sqldbtest.Exec(t, w.db, `DELETE FROM word WHERE subject = 's3'`)
		sqldbtest.Exec(t, w.db, `UPDATE word SET word = 'wrong' WHERE subject = 's7'`)
		sqldbtest.Exec(t, w.db, `INSERT INTO word (subject, word, n, written_at) VALUES ('s999', 'ghost', 1, 1)`)
		w.begin()
		w.replay()
		w.finish(rebuild.Swap)
		want := []rebuild.Difference{
			{Table: "word", Key: "s3", What: "is missing in the live model"},
			{Table: "word", Key: "s7", What: `word is "wrong", and should be "word"`},
			{Table: "word", Key: "s999", What: "is in the live model only"},
		}
		state := w.becomes(rebuild.Differs)
		if diff := cmp.Diff(want, state.Differences); diff != "" || state.Compared != 31 {
			t.Errorf("%d rows: %s", state.Compared, diff)
		}
		if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM word WHERE word = 'wrong'`); n != 1 {
			t.Error("it was swapped all the same")
		}
		w.finish(rebuild.Anyway)
		state = w.becomes(rebuild.Swapped)
		if diff := cmp.Diff(want, state.Differences); diff != "" {
			t.Errorf("what was different is forgotten: %s", diff)
		}
		if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM word WHERE word = 'word'`); n != 30 {
			t.Errorf("%d of 30 words are right", n)
		}
		w.has(30)
		w.gone()
	})
}

// A fault in any column of any table is found, and nobody's data with it.
func TestAFaultInAnyColumnIsFound(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.model.Derived = func(ctx context.Context, q sqldb.Querier) ([]rebuild.Difference, error) {
			var wrong int
			err := q.QueryRow(ctx, `SELECT count(*) FROM tally WHERE n <> 0`).Scan(&wrong)
			if err != nil || wrong == 0 {
				return nil, err
			}
			return []rebuild.Difference{{Table: "tally", Key: "n", What: "is not what it should be"}}, nil
		}
		w.rebuild = w.another()
		w.live()
		w.run(w.rebuild)
		w.say("s1", "NULL", 1)
		w.has(1)
		w.begin()
		w.replay()
		for _, fault := range []struct {
			do, undo string
			want     []rebuild.Difference
		}{
			{`UPDATE word SET word = 'x'`, `UPDATE word SET word = 'NULL'`, []rebuild.Difference{
				{Table: "word", Key: "s1", What: `word is "x", and should be "NULL"`},
			}},
			{`UPDATE word SET n = 2`, `UPDATE word SET n = 1`, []rebuild.Difference{
				{Table: "word", Key: "s1", What: `n is "2", and should be "1"; twice is "4", and should be "2"`},
			}},
			{`UPDATE word SET told_by = 'Ada'`, `UPDATE word SET told_by = NULL`, []rebuild.Difference{
				{Table: "word", Key: "s1", What: `told_by is not what it should be`},
			}},
			{`UPDATE word SET told_by = 'NULL'`, `UPDATE word SET told_by = NULL`, []rebuild.Difference{
				{Table: "word", Key: "s1", What: `told_by is not what it should be`},
			}},
			{`UPDATE word SET subject = 's2'`, `UPDATE word SET subject = 's1'`, []rebuild.Difference{
				{Table: "word", Key: "s1", What: "is missing in the live model"},
				{Table: "word", Key: "s2", What: "is in the live model only"},
			}},
			{`INSERT INTO tally (n) VALUES (3)`, `DELETE FROM tally`, []rebuild.Difference{
				{Table: "tally", Key: "n", What: "is not what it should be"},
			}},
			{`UPDATE word SET written_at = 1`, `UPDATE word SET written_at = 2`, nil}, // says when, not what
		} {
			sqldbtest.Exec(t, w.db, fault.do)
			w.finish(rebuild.Check)
			var state rebuild.State
			sqldbtest.Eventually(t, "the models are compared", func() bool {
				state = w.state()
				return state.Status == rebuild.Same || state.Status == rebuild.Differs
			})
			if diff := cmp.Diff(fault.want, state.Differences, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: %s", fault.do, diff)
			}
			if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM rebuild WHERE differences LIKE '%Ada%'`); n > 0 {
				t.Error("what tells of somebody is kept")
			}
			sqldbtest.Exec(t, w.db, fault.undo)
		}
	})
}

// Events flow all the time: none is lost, no reader ever meets a model that has
// lost something, and the comparison takes what is on its way for what it is.
func TestAModelIsSwappedWhileEventsFlow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.patience = time.Minute
		w.rebuild = w.another()
		w.live()
		w.run(w.rebuild)
		for n := range 200 {
			w.say(fmt.Sprint("s", n), "word", 0)
		}
		w.has(200)
		ctx, stop := context.WithCancel(t.Context())
		var traffic sync.WaitGroup
		said := 0
		traffic.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				w.say(fmt.Sprint("s", n%250), fmt.Sprint("w", n), n)
				said = n
				select {
				case <-time.After(time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
		traffic.Go(func() {
			least := 200
			for ctx.Err() == nil {
				var count int
				err := w.db.QueryRow(context.Background(), `SELECT count(*) FROM word`).Scan(&count)
				if err != nil || count < least {
					t.Errorf("a reader sees %d words after %d, %v", count, least, err)
					return
				}
				least = count
			}
		})
		for range 3 {
			w.begin()
			w.replay()
			w.finish(rebuild.Swap)
			state := w.becomes(rebuild.Swapped)
			if len(state.Differences) > 0 {
				t.Errorf("with events on their way: %v", state.Differences)
			}
		}
		stop()
		traffic.Wait()
		last := fmt.Sprintf(`SELECT count(*) FROM word WHERE n = %d`, said)
		sqldbtest.Eventually(t, "the last word has arrived", func() bool { return sqldbtest.Count(t, w.db, last) == 1 })
		want := map[string]int{}
		for _, e := range w.history {
			want[e.Subject] = max(want[e.Subject], int(e.Sequence))
		}
		for subject, n := range want {
			if got := sqldbtest.Count(t, w.db, fmt.Sprintf(`SELECT n FROM word WHERE subject = '%s'`, subject)); got != n {
				t.Errorf("%s has %d, want %d", subject, got, n)
			}
		}
		w.gone()
	})
}

func TestARebuildGoesOnAfterItsProcessWasKilled(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		stop := w.run(w.rebuild)
		for n := range 100 {
			w.say(fmt.Sprint("s", n), "word", n)
		}
		w.has(100)
		w.begin()
		stop()
		w.replay()
		for n := range 20 {
			w.say(fmt.Sprint("later", n), "word", n)
		}
		stop = w.run(w.another())
		w.finish(rebuild.Check)
		w.becomes(rebuild.Same)
		stop()
		// Killed between the swap and the removal of what is left.
		w.run(w.another())
		w.finish(rebuild.Swap)
		w.becomes(rebuild.Swapped)
		w.has(120)
		w.gone()
		sqldbtest.Exec(t, w.db, `UPDATE rebuild SET status = 'removing'`)
		w.becomes(rebuild.Swapped)
		w.has(120)
	})
}

func TestARebuildCanBeGivenUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.run(w.rebuild)
		w.say("s", "word", 1)
		w.has(1)
		for name, do := range map[string]func() (rebuild.State, error){
			"finish": func() (rebuild.State, error) { return w.rebuild.Finish(t.Context(), rebuild.Swap) },
			"cancel": func() (rebuild.State, error) { return w.rebuild.Cancel(t.Context()) },
		} {
			if s, err := do(); !errors.Is(err, rebuild.ErrNotNow) {
				t.Errorf("%s before anything has begun: %+v, %v", name, s, err)
			}
		}
		w.begin()
		if s, err := w.rebuild.Begin(t.Context()); err != nil || s.Status != rebuild.Filling {
			t.Errorf("begun twice: %+v, %v", s, err)
		}
		w.replay()
		for range 2 {
			if _, err := w.rebuild.Cancel(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.becomes(rebuild.Cancelled)
		}
		w.has(1)
		w.gone()
	})
}

// What the new model cannot take in, it does not have, however the rows compare.
func TestWhatTheNewModelCannotTakeInIsADifference(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.run(w.rebuild)
		w.say("s1", "word", 1)
		w.say("s2", "bad", 2)
		w.has(1)
		w.begin()
		w.replay()
		w.finish(rebuild.Swap)
		state := w.becomes(rebuild.Differs)
		if len(state.Differences) != 1 || state.Differences[0].Key != "s2" || !strings.Contains(state.Differences[0].What, "a bad word") {
			t.Errorf("found %+v", state.Differences)
		}
	})
}

// An event that the live model never had is a difference, after a while.
func TestAnEventThatTheLiveModelNeverHadIsADifference(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.run(w.rebuild)
		w.say("s1", "word", 1)
		w.say("s2", "word", 2)
		w.has(2)
		sqldbtest.Exec(t, w.db, `DELETE FROM word WHERE subject = 's2'`)
		sqldbtest.Exec(t, w.db, `DELETE FROM inbox WHERE subject = 's2'`)
		w.begin()
		w.replay()
		w.finish(rebuild.Check)
		state := w.becomes(rebuild.Differs)
		if len(state.Differences) != 1 || state.Differences[0].Key != "s2" || !strings.HasPrefix(state.Differences[0].What, "is missing in the live model") {
			t.Errorf("found %+v", state.Differences)
		}
	})
}

// An event that came from somebody who has no history to tell, before the queue
// was bound, is not waited for: it is told.
func TestAnEventThatNoHistoryHasIsADifference(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.run(w.rebuild)
		w.say("s1", "word", 1)
		w.say("s2", "stranger", 2)
		w.has(2)
		w.history = w.history[:1]
		w.begin()
		w.replay()
		w.finish(rebuild.Swap)
		state := w.becomes(rebuild.Differs)
		want := []rebuild.Difference{
			{Table: "inbox", Key: "s2", What: "no history has test.events.said.v1 s2-stranger-2, which the live model has"},
			{Table: "word", Key: "s2", What: "is in the live model only, while one of them lacks an event of it"},
		}
		if diff := cmp.Diff(want, state.Differences); diff != "" {
			t.Error(diff)
		}
		w.finish(rebuild.Anyway)
		w.becomes(rebuild.Swapped)
		w.has(1)
		w.gone()
	})
}
