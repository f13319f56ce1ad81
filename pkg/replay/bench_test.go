package replay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// benchPage is how many events the consumers of the benchmark take at a time.
const benchPage = 500

// BenchmarkReplayIntoPostgreSQL tells a consumer a history that is an outbox on
// PostgreSQL: read page by page, through the bus, with an inbox and a row of a
// read model for each event on PostgreSQL. In turns with it, what there is to
// gain: on RabbitMQ, the same written by hand on the raw clients, without a
// checkpoint and without an inbox; and what the server does with nothing but
// these rows, by COPY, and by statements of 500 of them.
func BenchmarkReplayIntoPostgreSQL(b *testing.B) {
	b.Run("RabbitMQ", func(b *testing.B) {
		url := rabbitmqtest.URL(b)
		namespace := rabbitmqtest.Namespace(b, url, "bench", "hand")
		bus, err := rabbitmq.Open(b.Context(), rabbitmq.Config{URL: url, Namespace: namespace})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = bus.Close(context.Background()) })
		conn, err := amqp.Dial(url)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		benchReplay(b, bus, &byHand{conn, namespace + ".hand"})
	})
	b.Run("sqlitebus", func(b *testing.B) {
		bus, err := sqlitebus.Open(b.Context(), sqlitebus.Config{Path: filepath.Join(b.TempDir(), "bus.db")})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = bus.Close(context.Background()) })
		benchReplay(b, bus, nil)
	})
}

func benchReplay(b *testing.B, bus eventbus.Bus, hand *byHand) {
	const round = 20_000
	publisher, consumer := sqldbtest.Postgres(b), sqldbtest.Postgres(b)
	announced(b, publisher, bus, round)
	in := consuming(b, consumer, bus)
	replays := replay.New(publisher, bus, outbox.New(publisher, bus, slog.New(slog.DiscardHandler), outbox.Options{}).History(),
		slog.New(slog.DiscardHandler), replay.Options{Poll: 10 * time.Millisecond})
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- replays.Run(ctx) }()
	if hand != nil {
		hand.declare(b)
	}
	var ours, raw, copied, inserted time.Duration
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
		if hand != nil {
			raw += hand.replay(b, publisher, consumer, round)
			sqldbtest.Exec(b, consumer, `TRUNCATE plain`)
		}
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
	if hand != nil {
		b.ReportMetric(total/raw.Seconds(), "events/s-by-hand")
		b.ReportMetric(raw.Seconds()/ours.Seconds(), "of-by-hand")
	}
	b.ReportMetric(total/inserted.Seconds(), "rows/s-inserted")
	b.ReportMetric(total/copied.Seconds(), "rows/s-copied")
	b.ReportMetric(inserted.Seconds()/ours.Seconds(), "of-inserting")
}

// byHand is a replay on the raw clients. It forgets how far it was, and a
// message that comes twice it would take twice.
type byHand struct {
	conn  *amqp.Connection
	queue string
}

func (h *byHand) channel(b *testing.B) *amqp.Channel {
	b.Helper()
	ch, err := h.conn.Channel()
	if err != nil {
		b.Fatal(err)
	}
	return ch
}

func (h *byHand) declare(b *testing.B) {
	b.Helper()
	ch := h.channel(b)
	defer ch.Close()
	if _, err := ch.QueueDeclare(h.queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		b.Fatal(err)
	}
}

// replay reads, sends and takes in side by side.
func (h *byHand) replay(b *testing.B, publisher, consumer sqldb.DB, count int) time.Duration {
	b.Helper()
	began := time.Now()
	pages := make(chan []eventbus.Event, 1)
	var work errgroup.Group
	work.Go(func() error {
		defer close(pages)
		return readByHand(b.Context(), publisher, pages)
	})
	work.Go(func() error {
		ch := h.channel(b)
		defer ch.Close()
		for page := range pages {
			rabbitmqtest.Publish(b, ch, "", h.queue, page, rabbitmqtest.Window, rabbitmqtest.Envelope)
		}
		return nil
	})
	work.Go(func() error { return h.takeIn(b, consumer, count) })
	if err := work.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func readByHand(ctx context.Context, publisher sqldb.DB, pages chan<- []eventbus.Event) error {
	for last := int64(0); ; {
		rows, err := publisher.Query(ctx, `SELECT announced, id, source, type, subject, time, data, correlation_id, causation_id, sequence
			FROM outbox WHERE announced > $1 ORDER BY announced LIMIT 2000`, last)
		if err != nil {
			return err
		}
		page, err := sqldb.Collect(rows, func(row sqldb.Row) (e eventbus.Event, err error) {
			var at int64
			err = row.Scan(&last, &e.ID, &e.Source, &e.Type, &e.Subject, &at, &e.Data, &e.CorrelationID, &e.CausationID, &e.Sequence)
			e.Time = sqldb.Time(at)
			return e, err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		pages <- page
	}
}

func (h *byHand) takeIn(b *testing.B, consumer sqldb.DB, count int) error {
	ch := h.channel(b)
	defer ch.Close()
	if err := ch.Qos(2*benchPage, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.Consume(h.queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for taken := 0; taken < count; {
		args := make([]any, 0, 3*benchPage)
		var last amqp.Delivery
		for len(args) < 3*min(benchPage, count-taken) {
			last = <-deliveries
			var data packed
			if err := json.Unmarshal(last.Body, &data); err != nil {
				return err
			}
			args = append(args, last.Headers["ce-subject"], data.PackedBy, last.Timestamp.UnixMicro())
		}
		err := consumer.Update(b.Context(), func(tx sqldb.Tx) error {
			sqldb.QueueRows(tx, `INSERT INTO plain (id, packer, at)`, 3, args, `ON CONFLICT (id) DO NOTHING`)
			return nil
		})
		if err != nil {
			return err
		}
		if err := last.Ack(true); err != nil {
			return err
		}
		taken += len(args) / 3
	}
	return nil
}

// packed is what the consumers of the benchmark read.
type packed struct {
	PackedBy string `json:"packedBy"`
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
	inbox.OnBatch(in, "packing.events.packed.v1", func(_ context.Context, tx sqldb.Tx, batch []inbox.Item[packed]) error {
		args := make([]any, 0, 3*len(batch))
		for _, it := range batch {
			args = append(args, it.Event.Subject, it.Data.PackedBy, sqldb.Micros(it.Event.Time))
		}
		sqldb.QueueRows(tx, `INSERT INTO model (id, packer, at)`, 3, args, `ON CONFLICT (id) DO NOTHING`)
		return nil
	})
	s, err := bus.Subscribe(b.Context(), eventbus.Queue{Name: "bench", Patterns: in.Patterns(), BatchSize: benchPage}, in.Handle)
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
	for first := 0; first < count; first += benchPage {
		err := db.Update(b.Context(), func(tx sqldb.Tx) error {
			args := make([]any, 0, 3*benchPage)
			for i := first; i < first+benchPage; i++ {
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
