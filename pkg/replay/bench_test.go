package replay_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// BenchmarkReplayIntoPostgreSQL tells a consumer a history that is an outbox on
// PostgreSQL: read page by page, through the bus, with an inbox and a row of a
// read model for each event on PostgreSQL, in turns with what the server does
// with nothing but these rows: COPY, and statements of 500 of them.
func BenchmarkReplayIntoPostgreSQL(b *testing.B) {
	buses := map[string]func(b *testing.B) eventbus.Bus{
		"RabbitMQ": func(b *testing.B) eventbus.Bus { return rabbit(b) },
		"sqlitebus": func(b *testing.B) eventbus.Bus {
			bus, err := sqlitebus.Open(b.Context(), sqlitebus.Config{Path: filepath.Join(b.TempDir(), "bus.db")})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = bus.Close(context.Background()) })
			return bus
		},
	}
	for name, open := range buses {
		b.Run(name, func(b *testing.B) {
			const round = 20_000
			publisher, consumer := sqldbtest.Postgres(b), sqldbtest.Postgres(b)
			bus := open(b)
			announced(b, publisher, bus, round)
			in := consuming(b, consumer, bus)
			replays := replay.New(publisher, bus, outbox.New(publisher, bus, slog.New(slog.DiscardHandler), outbox.Options{}).History(),
				slog.New(slog.DiscardHandler), replay.Options{Poll: 10 * time.Millisecond})
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- replays.Run(ctx) }()
			var ours, copied, inserted time.Duration
			for b.Loop() {
				before := in.Stats().Handled
				began := time.Now()
				if _, err := replays.Begin(b.Context(), replay.Wish{To: "bench"}); err != nil {
					b.Fatal(err)
				}
				for in.Stats().Handled < before+round {
					<-time.After(time.Millisecond)
				}
				ours += time.Since(began)
				copied += copyRows(b, consumer, round)
				inserted += insertRows(b, consumer, round)
				for table, want := range map[string]int{"inbox": round, "model": round, "plain": 2 * round} {
					if n := sqldbtest.Count(b, consumer, `SELECT count(*) FROM `+table); n != want {
						b.Fatalf("%d rows in %s, want %d", n, table, want)
					}
				}
				sqldbtest.Exec(b, consumer, `TRUNCATE inbox, model, plain`)
				sqldbtest.Eventually(b, "the replay is done", func() bool {
					jobs, err := replays.Jobs(b.Context())
					return err == nil && jobs[0].Status == replay.Done
				})
			}
			stop()
			<-ended
			total := float64(b.N * round)
			b.ReportMetric(total/ours.Seconds(), "events/s")
			b.ReportMetric(total/inserted.Seconds(), "rows/s-inserted")
			b.ReportMetric(total/copied.Seconds(), "rows/s-copied")
			b.ReportMetric(inserted.Seconds()/ours.Seconds(), "of-inserting")
		})
	}
}

// announced makes an outbox that has sent so many events.
func announced(b *testing.B, db sqldb.DB, bus eventbus.Publisher, count int) {
	b.Helper()
	if err := outbox.Migrate(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	if err := replay.Migrate(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	sqldbtest.Exec(b, db, fmt.Sprintf(`INSERT INTO outbox (id, source, type, subject, time, content_type, data, correlation_id, causation_id,
			trace_parent, sequence, request, requested_at, added_at, sent_at, announced)
		SELECT gen_random_uuid(), '/orderflow/packing', 'packing.events.packed.v1', gen_random_uuid(), 1800000000000000, 'application/json',
			convert_to('{"orderId":"0192a8f4-0000-7000-8000-000000000000","customerId":"0192a8f4-0000-7000-8000-000000000001","packedBy":"' || n || '"}', 'UTF8'),
			gen_random_uuid(), gen_random_uuid(), '', 1, '', 0, 1, 1, n FROM generate_series(1, %d) AS n`, count))
}

// consuming takes events into an inbox, and a row for each into a model.
func consuming(b *testing.B, db sqldb.DB, bus eventbus.Bus) *inbox.Inbox {
	b.Helper()
	if err := inbox.Migrate(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	sqldbtest.Exec(b, db, `CREATE TABLE model (id TEXT PRIMARY KEY, packer TEXT NOT NULL, at BIGINT NOT NULL)`)
	sqldbtest.Exec(b, db, `CREATE TABLE plain (id TEXT PRIMARY KEY, packer TEXT NOT NULL, at BIGINT NOT NULL)`)
	in := inbox.New(db, "bench", slog.New(slog.DiscardHandler), inbox.Options{})
	type packed struct {
		PackedBy string `json:"packedBy"`
	}
	inbox.OnBatch(in, "packing.events.packed.v1", func(_ context.Context, tx sqldb.Tx, batch []inbox.Item[packed]) error {
		args := make([]any, 0, 3*len(batch))
		for _, it := range batch {
			args = append(args, it.Event.Subject, it.Data.PackedBy, sqldb.Micros(it.Event.Time))
		}
		sqldb.QueueRows(tx, `INSERT INTO model (id, packer, at)`, 3, args, `ON CONFLICT (id) DO NOTHING`)
		return nil
	})
	s, err := bus.Subscribe(b.Context(), eventbus.Queue{Name: "bench", Patterns: in.Patterns(), BatchSize: 500}, in.Handle)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Unsubscribe(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return in
}

func copyRows(b *testing.B, db sqldb.DB, count int) time.Duration {
	b.Helper()
	pool, _ := sqldb.Pool(db)
	began := time.Now()
	n, err := pool.CopyFrom(b.Context(), pgx.Identifier{"plain"}, []string{"id", "packer", "at"}, pgx.CopyFromSlice(count, func(i int) ([]any, error) {
		return []any{fmt.Sprintf("copied-0192a8f4-0000-7000-8000-%012d", i), "packer", int64(i)}, nil
	}))
	if err != nil || n != int64(count) {
		b.Fatal(n, err)
	}
	return time.Since(began)
}

func insertRows(b *testing.B, db sqldb.DB, count int) time.Duration {
	b.Helper()
	began := time.Now()
	for first := 0; first < count; first += 500 {
		err := db.Update(b.Context(), func(tx sqldb.Tx) error {
			args := make([]any, 0, 1500)
			for i := first; i < first+500; i++ {
				args = append(args, fmt.Sprintf("inserted-0192a8f4-0000-7000-8000-%012d", i), "packer", int64(i))
			}
			sqldb.QueueRows(tx, `INSERT INTO plain (id, packer, at)`, 3, args, `ON CONFLICT (id) DO NOTHING`)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}
