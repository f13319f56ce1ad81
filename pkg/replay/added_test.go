package replay_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// A publisher goes on announcing while a service is added and told the history,
// by processes that die in between. The service has each event once, nothing is
// missing where history ends and live events begin, and each of the two came in
// order.
func TestAServiceThatIsAddedWhileEventsFlowHasEachOfThemOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		quiet := slog.New(slog.DiscardHandler)
		if err := outbox.Migrate(t.Context(), w.db); err != nil {
			t.Fatal(err)
		}
		if err := inbox.Migrate(t.Context(), w.db); err != nil {
			t.Fatal(err)
		}
		sqldbtest.Exec(t, w.db, `CREATE TABLE heard (id TEXT PRIMARY KEY)`)
		out := outbox.New(w.db, w.bus, quiet, outbox.Options{Poll: 5 * time.Millisecond})
		var loops sync.WaitGroup
		ctx, stop := context.WithCancel(context.Background())
		t.Cleanup(func() { stop(); loops.Wait() })
		loops.Go(func() { _ = out.Run(ctx) })

		var announced atomic.Int64
		traffic, quieten := context.WithCancel(ctx)
		var talking sync.WaitGroup
		talking.Go(func() {
			for n := 1; traffic.Err() == nil; n++ {
				e := happened(n)
				e.ID, e.CorrelationID, e.CausationID = uuid.NewString(), "c", "c"
				err := w.db.Update(ctx, func(tx sqldb.Tx) error {
					return out.Add(ctx, tx, cause.Cause{ID: uuid.New(), CorrelationID: "c"}, e)
				})
				if err != nil {
					t.Error(err)
					return
				}
				announced.Store(int64(n))
				select {
				case <-time.After(2 * time.Millisecond):
				case <-traffic.Done():
				}
			}
		})
		defer talking.Wait()
		defer quieten()
		sqldbtest.Eventually(t, "there is some history", func() bool { return announced.Load() >= 300 })

		in := inbox.New(w.db, "audit", quiet, inbox.Options{})
		var mu sync.Mutex
		var arrived []eventbus.Event
		in.OnAny("order.#", func(ctx context.Context, tx sqldb.Tx, e eventbus.Event) error {
			if _, err := tx.Exec(ctx, `INSERT INTO heard (id) VALUES ($1)`, e.ID); err != nil { // a second one would be parked
				return err
			}
			tx.AfterCommit(func() { mu.Lock(); arrived = append(arrived, e); mu.Unlock() })
			return nil
		})
		if _, err := w.bus.Subscribe(t.Context(), eventbus.Queue{Name: "audit", Patterns: in.Patterns()}, in.Handle); err != nil {
			t.Fatal(err)
		}
		another := func() *replay.Replays { return replay.New(w.db, w.bus, out.History(), quiet, w.options) }
		w.replays = another()
		die := w.run(another())
		job := w.begin(replay.Wish{To: "audit", Rate: 1000})
		for last := int64(0); w.job(job.ID).Status == replay.Running; {
			sqldbtest.Eventually(t, "it gets further", func() bool {
				now := w.job(job.ID)
				return now.Sent > last || now.Status == replay.Done
			})
			die()
			last = w.job(job.ID).Sent
			die = w.run(another())
		}
		more := announced.Load() + 100
		sqldbtest.Eventually(t, "there is more news", func() bool { return announced.Load() >= more })
		quieten()
		talking.Wait()
		total := int(announced.Load())
		sqldbtest.Eventually(t, fmt.Sprintf("%d events have arrived", total), func() bool {
			return sqldbtest.Count(t, w.db, `SELECT count(*) FROM heard`) >= total
		})
		if held, parked, err := in.Backlog(t.Context()); held+parked > 0 || err != nil {
			t.Errorf("%d held, %d parked, %v", held, parked, err)
		}
		mu.Lock()
		defer mu.Unlock()
		var sequences []int64
		last := map[string]int64{}
		for _, e := range arrived {
			sequences = append(sequences, e.Sequence)
			of := fmt.Sprint(e.Replayed, e.Subject)
			if e.Sequence < last[of] {
				t.Errorf("%s, replayed %t: %d after %d", e.Subject, e.Replayed, e.Sequence, last[of])
			}
			last[of] = e.Sequence
		}
		slices.Sort(sequences)
		if want := total; len(slices.Compact(slices.Clone(sequences))) != want || len(sequences) != want {
			t.Errorf("%d effects of %d events, of %d that were announced", len(sequences), len(slices.Compact(sequences)), want)
		}
		if len(last) != 14 {
			t.Errorf("the test is wrong: not every subject has history and news: %v", last)
		}
	})
}
