package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// benchRows is a round.
const benchRows = 10_000

// gate is a bus that waits to be opened.
type gate struct {
	eventbus.Publisher
	mu     sync.Mutex
	opened chan struct{}
}

func (g *gate) Publish(ctx context.Context, events ...eventbus.Event) error {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	select {
	case <-opened:
		return g.Publisher.Publish(ctx, events...)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
}

// BenchmarkOutbox moves rows from a table of PostgreSQL to a quorum queue of
// RabbitMQ, with confirms and marks. Each round is followed by the two limits,
// on the same machine in the same state: the same bodies through the same
// exchange with the bare client and a window of 1,024, and the same rows read
// and marked with plain SQL in windows of the same size.
func BenchmarkOutbox(b *testing.B) {
	for _, reader := range []outbox.Reader{outbox.Polling, outbox.Capture} {
		b.Run(string(reader), func(b *testing.B) {
			w, k := newPostgres(b, reader), openBroker(b, rabbitmqtest.Address())
			bus := &gate{Publisher: k.bus}
			bus.close()
			o := newOutbox(b, w.db, bus, outbox.Options{Reader: reader})
			w.start(b, o)
			var publishing, raw, plain time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				events := benchEvents(rounds)
				sqldbtest.Exec(b, w.db, `TRUNCATE outbox`)
				bus.close()
				for some := range slices.Chunk(events, 500) {
					add(b, w.db, o, some...)
				}
				k.purge(b)
				sent := int64(rounds * benchRows)
				publishing += elapsed(func() {
					close(bus.opened)
					eventually(b, "all was sent", func() bool { return o.Stats().Sent >= sent })
				})
				k.purge(b)
				raw += elapsed(func() { k.publishRaw(b, events) })
				plain += plainSQL(b, w.db)
			}
			total := float64(rounds * benchRows)
			b.ReportMetric(total/publishing.Seconds(), "outbox/s")
			b.ReportMetric(total/raw.Seconds(), "raw-publish/s")
			b.ReportMetric(total/plain.Seconds(), "raw-sql/s")
			b.ReportMetric(raw.Seconds()/publishing.Seconds(), "of-raw-publish")
			b.ReportMetric((raw+plain).Seconds()/publishing.Seconds(), "of-both-in-turn")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func elapsed(work func()) time.Duration {
	began := time.Now()
	work()
	return time.Since(began)
}

func benchEvents(round int) []eventbus.Event {
	events := make([]eventbus.Event, benchRows)
	for i := range events {
		events[i] = event(fmt.Sprintf("event-%d-%d", round, i), fmt.Sprint("order-", i%100))
		events[i].Data = fmt.Appendf(nil, `{"padding":"%s"}`, strings.Repeat("p", 500))
	}
	return events
}

// plainSQL reads and marks a round, and does nothing with it.
func plainSQL(b *testing.B, db sqldb.DB) time.Duration {
	b.Helper()
	sqldbtest.Exec(b, db, `CREATE TABLE plain (LIKE outbox INCLUDING ALL)`)
	defer sqldbtest.Exec(b, db, `DROP TABLE plain`)
	const columns = `id, source, type, subject, time, content_type, data, correlation_id, causation_id, trace_parent, sequence, request, requested_at, added_at`
	sqldbtest.Exec(b, db, `INSERT INTO plain (`+columns+`) SELECT `+columns+` FROM outbox ORDER BY seq`)
	pool, _ := sqldb.Pool(db)
	return elapsed(func() {
		for n := 500; n == 500; {
			rows, err := pool.Query(b.Context(), `SELECT seq, data FROM plain WHERE sent_at IS NULL ORDER BY seq LIMIT 500`)
			if err != nil {
				b.Fatal(err)
			}
			var seqs []int64
			var seq int64
			var data []byte
			if _, err := pgx.ForEachRow(rows, []any{&seq, &data}, func() error { seqs = append(seqs, seq); return nil }); err != nil {
				b.Fatal(err)
			}
			if _, err := pool.Exec(b.Context(), `UPDATE plain SET sent_at = 1 WHERE seq = ANY($1)`, seqs); err != nil {
				b.Fatal(err)
			}
			n = len(seqs)
		}
	})
}

// BenchmarkPublish moves rows from the table to a bus that costs nothing.
// ns/op is per event.
func BenchmarkPublish(b *testing.B) {
	for name, open := range map[string]func(testing.TB) sqldb.DB{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			if err := outbox.Migrate(b.Context(), db); err != nil {
				b.Fatal(err)
			}
			o := outbox.New(db, &fakeBus{}, slog.New(slog.DiscardHandler), outbox.Options{LeaseTTL: time.Minute})
			events := make([]eventbus.Event, b.N)
			for i := range events {
				events[i] = event(fmt.Sprint("event-", i), fmt.Sprint("order-", i%100))
			}
			err := db.Update(b.Context(), func(tx sqldb.Tx) error { return o.Add(b.Context(), tx, cause.Cause{}, events...) })
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			b.ResetTimer()
			go func() { done <- o.Run(ctx) }()
			eventually(b, "all was sent", func() bool { return o.Stats().Sent == int64(b.N) })
			b.StopTimer()
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkLatency is the time from a commit to the handler, over RabbitMQ, at
// 500 events a second. ns/op means nothing.
func BenchmarkLatency(b *testing.B) {
	for _, reader := range []outbox.Reader{outbox.Polling, outbox.Capture} {
		b.Run(string(reader), func(b *testing.B) {
			w, k := newPostgres(b, reader), openBroker(b, rabbitmqtest.Address())
			o := newOutbox(b, w.db, k.bus, outbox.Options{Reader: reader})
			w.start(b, o)
			var c clocks
			defer k.subscribe(b, c.handle)()
			n := 0
			for b.Loop() {
				n = c.round(b, w.db, o, n)
			}
			took := c.all(b, n)
			b.ReportMetric(milliseconds(took[len(took)/2]), "p50-ms")
			b.ReportMetric(milliseconds(took[len(took)*99/100]), "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// clocks notes when each event was committed and when it was handled.
type clocks struct {
	mu                 sync.Mutex
	committed, handled map[string]time.Time
}

func (c *clocks) note(at func(c *clocks) *map[string]time.Time, id string) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	times := at(c)
	if *times == nil {
		*times = map[string]time.Time{}
	}
	(*times)[id] = now
}

func (c *clocks) handle(_ context.Context, batch []eventbus.Delivery) error {
	for _, d := range batch {
		c.note(func(c *clocks) *map[string]time.Time { return &c.handled }, d.Event.ID)
	}
	return nil
}

// round commits 500 events in a second, one a transaction.
func (c *clocks) round(b *testing.B, db sqldb.DB, o *outbox.Outbox, n int) int {
	b.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	var group sync.WaitGroup
	for range 500 {
		<-ticker.C
		n++
		e := event(fmt.Sprint("event-", n), fmt.Sprint("order-", n%100))
		group.Go(func() {
			err := db.Update(b.Context(), func(tx sqldb.Tx) error {
				tx.AfterCommit(func() { c.note(func(c *clocks) *map[string]time.Time { return &c.committed }, e.ID) })
				return o.Add(b.Context(), tx, cause.Cause{}, e)
			})
			if err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
	return n
}

// all returns how long the events took, sorted.
func (c *clocks) all(b *testing.B, n int) []time.Duration {
	b.Helper()
	eventually(b, "all were handled", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.handled) == n
	})
	took := make([]time.Duration, 0, n)
	for id, at := range c.handled {
		took = append(took, at.Sub(c.committed[id]))
	}
	slices.Sort(took)
	return took
}
