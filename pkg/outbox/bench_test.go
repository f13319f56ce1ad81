package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

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
