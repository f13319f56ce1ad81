package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"orderflow/pkg/outbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// announced makes an outbox that has sent so many events, each of which says
// some hundred bytes about a subject of its own, and a model that has them.
func (w *world) announced(count int) {
	w.t.Helper()
	numbers, long, bytes := `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)`, `printf('%0600d', n)`, `CAST(%s AS BLOB)`
	if w.db.Dialect() == sqldb.Postgres {
		numbers, long, bytes = `WITH numbers AS (SELECT n FROM generate_series(1, CAST($1 AS INTEGER)) AS n)`, `lpad(CAST(n AS TEXT), 600, '0')`, `convert_to(%s, 'UTF8')`
	}
	data := fmt.Sprintf(bytes, `'{"n":' || n || ',"word":"' || `+long+` || '"}'`)
	sqldbtest.Exec(w.t, w.db, numbers+`INSERT INTO outbox (id, source, type, subject, time, content_type, data, correlation_id, causation_id,
			trace_parent, sequence, request, requested_at, added_at, sent_at, announced)
		SELECT 'e' || n, '/orderflow/test', 'test.events.said.v1', 's' || n, 1800000000000000, 'application/json', `+data+`,
			'c', 'c', '', n, '', 0, 1, 1, n FROM numbers WHERE n > (SELECT count(*) FROM outbox)`, count)
	sqldbtest.Exec(w.t, w.db, numbers+`INSERT INTO word (subject, word, n, written_at)
		SELECT 's' || n, `+long+`, n, 1 FROM numbers WHERE n > (SELECT count(*) FROM word)`, count)
}

// peak is the most that was alive on the heap while work went on, as collections
// found it: what is garbage by then does not count.
func peak(work func()) (bytes uint64) {
	ctx, stop := context.WithCancel(context.Background())
	measured := make(chan uint64)
	go func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		var most uint64
		for {
			runtime.GC()
			metrics.Read(live)
			most = max(most, live[0].Value.Uint64())
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
	short, long, patience := 4_000, 16_000, 3*time.Minute // several pages, the shorter one too
	if os.Getenv("TEST_LONG") == "1" {
		short, long, patience = 100_000, 1_000_000, time.Hour
	}
	const held = 5 << 20 // less than the events that are between the two
	each(t, func(t *testing.T, w *world) {
		quiet := slog.New(slog.DiscardHandler)
		if err := errors.Join(outbox.Migrate(t.Context(), w.db), replay.Migrate(t.Context(), w.db)); err != nil {
			t.Fatal(err)
		}
		history := outbox.New(w.db, w.bus, quiet, outbox.Options{}).History()
		replays := replay.New(w.db, w.bus, history, quiet, replay.Options{Window: 500, Backlog: 1000, Poll: 5 * time.Millisecond})
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- replays.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })
		w.run(w.rebuild)
		tellAndRebuild := func(events int) uint64 {
			w.announced(events)
			return peak(func() {
				w.begin()
				began := time.Now()
				job, err := replays.Begin(t.Context(), replay.Wish{To: "words" + rebuild.QueueSuffix})
				if err != nil {
					t.Fatal(err)
				}
				w.until("history was told", patience, func() bool {
					job, err = replays.Job(t.Context(), job.ID)
					return err == nil && job.Status == replay.Done
				})
				told := time.Now()
				w.finish(rebuild.Swap)
				w.until("the rebuild is swapped", patience, func() bool { return w.state().Status == rebuild.Swapped })
				t.Logf("%d events: told %.0f a second; the rest was taken in, compared and swapped within %s",
					events, float64(job.Sent)/told.Sub(began).Seconds(), time.Since(told))
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
