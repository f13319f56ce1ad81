package inbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// BenchmarkHandle takes batches of a hundred events, each of which writes one
// row. ns/op is per event.
func BenchmarkHandle(b *testing.B) {
	for name, open := range map[string]func(testing.TB) sqldb.DB{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			if err := inbox.Migrate(b.Context(), db); err != nil {
				b.Fatal(err)
			}
			sqldbtest.Exec(b, db, `CREATE TABLE job (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`)
			in := inbox.New(db, "bench", slog.New(slog.DiscardHandler), inbox.Options{})
			inbox.On(in, placed, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data payload) error {
				_, err := tx.Exec(ctx, `INSERT INTO job (id, n) VALUES ($1, $2)`, e.ID, data.N)
				return err
			})
			b.ResetTimer()
			for done := 0; done < b.N; done += 100 {
				events := make([]eventbus.Event, 100)
				for i := range events {
					n := done + i
					events[i] = event(placed, fmt.Sprint("order-", n), fmt.Sprint("event-", n))
				}
				if err := in.Handle(b.Context(), batch(events...)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
