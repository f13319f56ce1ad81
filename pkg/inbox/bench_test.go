package inbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// benchBatch is how many events share a transaction, as a bus hands them out.
const benchBatch = 100

// oneByOne writes the read model with a statement an event.
func oneByOne(in *inbox.Inbox) {
	inbox.On(in, placed, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data payload) error {
		tx.Queue(`INSERT INTO job VALUES ($1, $2) ON CONFLICT (order_id) DO UPDATE SET n = excluded.n`, e.Subject, data.N)
		return nil
	})
}

// allAtOnce writes it with a statement a batch.
func allAtOnce(in *inbox.Inbox) {
	inbox.OnBatch(in, placed, func(_ context.Context, tx sqldb.Tx, batch []inbox.Item[payload]) error {
		args := make([]any, 0, 2*len(batch))
		for _, it := range batch {
			args = append(args, it.Event.Subject, it.Data.N)
		}
		sqldb.QueueRows(tx, `INSERT INTO job`, 2, args, `ON CONFLICT (order_id) DO UPDATE SET n = excluded.n`)
		return nil
	})
}

func newBenchInbox(b testing.TB, db sqldb.DB, register func(*inbox.Inbox), lanes int) *inbox.Inbox {
	b.Helper()
	if err := inbox.Migrate(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	sqldbtest.Exec(b, db, `CREATE TABLE job (order_id TEXT PRIMARY KEY, n BIGINT NOT NULL)`)
	in := inbox.New(db, "packing", slog.New(slog.DiscardHandler), inbox.Options{Lanes: lanes})
	register(in)
	return in
}

// benchEvents makes events of as many orders, with ids as real ones have them:
// those of events spread over the index, those of orders grow.
func benchEvents(n int) []eventbus.Event {
	events := make([]eventbus.Event, n)
	for i := range events {
		events[i] = event(placed, uuid.Must(uuid.NewV7()).String(), uuid.NewString())
		events[i].CorrelationID, events[i].CausationID = uuid.NewString(), uuid.NewString()
	}
	return events
}

// BenchmarkHandle takes batches of a hundred events, each of which writes one
// row, without a broker. On PostgreSQL it takes turns with what one would write
// by hand; ratios above 1 are in favour of this package.
func BenchmarkHandle(b *testing.B) {
	const round = 2000
	for name, register := range map[string]func(*inbox.Inbox){"On": oneByOne, "OnBatch": allAtOnce} {
		b.Run("sqlite/"+name, func(b *testing.B) {
			in := newBenchInbox(b, sqldbtest.SQLite(b), register, 1)
			var took time.Duration
			for b.Loop() {
				took += timeOf(b, benchEvents(round), benchBatch, func(some []eventbus.Event) error { return in.Handle(b.Context(), batch(some...)) })
			}
			b.ReportMetric(float64(b.N*round)/took.Seconds(), "events/s")
			b.ReportMetric(0, "ns/op")
		})
		for _, lanes := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("postgres/%s/lanes=%d", name, lanes), func(b *testing.B) {
				db := sqldbtest.Postgres(b)
				in, hand := newBenchInbox(b, db, register, lanes), newByHand(b, db)
				var ours, all, one time.Duration
				for b.Loop() {
					ours += timeOf(b, benchEvents(round), benchBatch, func(some []eventbus.Event) error { return in.Handle(b.Context(), batch(some...)) })
					all += timeOf(b, benchEvents(round), benchBatch, func(some []eventbus.Event) error { return hand.all(b.Context(), some) })
					one += timeOf(b, benchEvents(round/10), 1, func(some []eventbus.Event) error { return hand.one(b.Context(), some[0]) })
				}
				report(b, float64(b.N*round), ours, all, 10*one)
			})
		}
	}
}

func timeOf(b *testing.B, events []eventbus.Event, size int, handle func([]eventbus.Event) error) time.Duration {
	b.Helper()
	began := time.Now()
	for ; len(events) > 0; events = events[size:] {
		if err := handle(events[:size]); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

// report gives the rates of handling events with this package, by hand with one
// statement a batch, and by hand with one transaction a message.
func report(b *testing.B, events float64, ours, all, one time.Duration) {
	b.Helper()
	b.ReportMetric(events/ours.Seconds(), "events/s")
	b.ReportMetric(events/all.Seconds(), "by-hand-100/s")
	b.ReportMetric(events/one.Seconds(), "by-hand-1/s")
	b.ReportMetric(all.Seconds()/ours.Seconds(), "of-by-hand-100")
	b.ReportMetric(one.Seconds()/ours.Seconds(), "times-by-hand-1")
	b.ReportMetric(0, "ns/op")
}
