package rebuild_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"

	"orderflow/pkg/outbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// announced makes an outbox that has sent so many events, each of which says
// two thousand bytes about a subject of its own.
func (w *world) announced(count int) {
	w.t.Helper()
	numbers, bytes := `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)`, `CAST(%s AS BLOB)`
	long := `printf('%02000d', n)`
	if w.db.Dialect() == sqldb.Postgres {
		numbers, bytes = `WITH numbers AS (SELECT n FROM generate_series(1, CAST($1 AS INTEGER)) AS n)`, `convert_to(%s, 'UTF8')`
		long = `lpad(CAST(n AS TEXT), 2000, '0')`
	}
	data := fmt.Sprintf(bytes, `'{"n":' || n || ',"word":"' || `+long+` || '"}'`)
	sqldbtest.Exec(w.t, w.db, numbers+`INSERT INTO outbox (id, source, type, subject, time, content_type, data, correlation_id, causation_id,
			trace_parent, sequence, request, requested_at, added_at, sent_at, announced)
		SELECT 'e' || n, '/orderflow/test', 'test.events.said.v1', 's' || n, 1800000000000000, 'application/json', `+data+`,
			'c', 'c', '', n, '', 0, 1, 1, n FROM numbers WHERE n > (SELECT count(*) FROM outbox)`, count)
}

// peak is the most that was alive on the heap while work went on.
func peak(work func()) (bytes uint64) {
	ctx, stop := context.WithCancel(context.Background())
	measured := make(chan uint64)
	go func() {
		var most uint64
		for {
			var now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				measured <- most
				return
			}
		}
	}()
	work()
	stop()
	return <-measured
}

// A history ten times as long takes no more memory: to be told again, to be
// taken in, to be compared, and to be swapped.
func TestAHistoryOfAnyLengthTakesTheSameMemory(t *testing.T) {
	short, long, patience := 1_000, 8_000, 2*time.Minute
	if os.Getenv("TEST_LONG") == "1" {
		short, long, patience = 100_000, 1_000_000, time.Hour
	}
	const held = 6 << 20 // half of the data of the events between the two
	each(t, func(t *testing.T, w *world) {
		quiet := slog.New(slog.DiscardHandler)
		if err := outbox.Migrate(t.Context(), w.db); err != nil {
			t.Fatal(err)
		}
		if err := replay.Migrate(t.Context(), w.db); err != nil {
			t.Fatal(err)
		}
		history := outbox.New(w.db, w.bus, quiet, outbox.Options{}).History()
		replays := replay.New(w.db, w.bus, history, quiet, replay.Options{Window: 500, Backlog: 1000, Poll: 5 * time.Millisecond})
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- replays.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })
		until := func(what string, done func() bool) {
			deadline := time.Now().Add(patience)
			for !done() {
				if time.Now().After(deadline) {
					t.Fatalf("never: %s", what)
				}
				<-time.After(10 * time.Millisecond)
			}
		}
		tell := func(to string) {
			began := time.Now()
			job, err := replays.Begin(t.Context(), replay.Wish{To: to})
			if err != nil {
				t.Fatal(err)
			}
			until("all was told to "+to, func() bool {
				job, err = replays.Job(t.Context(), job.ID)
				return err == nil && job.Status == replay.Done
			})
			t.Logf("%d events to %s: %.0f a second", job.Sent, to, float64(job.Sent)/time.Since(began).Seconds())
		}
		w.live()
		w.run(w.rebuild)
		tellAndRebuild := func(events int) uint64 {
			w.announced(events)
			return peak(func() {
				tell("words")
				until("the live model has everything", func() bool { return sqldbtest.Count(t, w.db, `SELECT count(*) FROM word`) == events })
				w.begin()
				tell("words" + rebuild.QueueSuffix)
				w.finish(rebuild.Swap)
				began := time.Now()
				until("the rebuild is swapped", func() bool { return w.state().Status == rebuild.Swapped })
				t.Logf("the rest was taken in, compared and swapped within %s", time.Since(began))
				if state := w.state(); state.Compared != int64(events) || len(state.Differences) > 0 {
					t.Errorf("%d of %d rows were compared, %d differ", state.Compared, events, len(state.Differences))
				}
			})
		}
		few, many := tellAndRebuild(short), tellAndRebuild(long)
		t.Logf("%d events: %.1f MB at most; %d events: %.1f MB", short, float64(few)/1e6, long, float64(many)/1e6)
		if many > few+held {
			t.Errorf("%d events took %d bytes at most, and %d events %d", short, few, long, many)
		}
	})
}
