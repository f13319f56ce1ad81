package stored_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/es/snapshot"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// BenchmarkLoad loads orders of different lengths in turns from their events and
// with snapshots; times-faster is the ratio of the two. The last snapshot ends 50
// events before the end of a stream, which is as far as it is on the average.
func BenchmarkLoad(b *testing.B) {
	for _, database := range []struct {
		name string
		open func(testing.TB) sqldb.DB
	}{{"sqlite", sqldbtest.SQLite}, {"postgres", sqldbtest.Postgres}} {
		b.Run(database.name, func(b *testing.B) {
			db := database.open(b)
			if err := snapshot.Migrate(b.Context(), db); err != nil {
				b.Fatal(err)
			}
			server := esdbservertest.New(b)
			store, err := es.Open(server.ConnectionString(), nil)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(store.Close)
			plain := es.NewRepository(store, "order", stored.Codec{}, domain.Apply)
			table := snapshot.New(db)
			snapshots := plain.WithSnapshots(es.Snapshots[domain.Order]{Store: table, Codec: stored.States{}, Log: slog.Default()})
			for _, events := range []int{10, 100, 1_000, 10_000} {
				b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
					id := uuid.New()
					history := longHistory(events)
					covered := max(0, events-50)
					for piece := range slices.Chunk(history[:covered], 1_000) {
						server.Append(b, es.StreamName("order", id), piece...)
					}
					if covered >= 100 {
						if _, _, err := snapshots.Load(b.Context(), id); err != nil {
							b.Fatal(err)
						}
						sqldbtest.Eventually(b, "a snapshot is taken", func() bool {
							_, err := table.Load(b.Context(), es.StreamName("order", id))
							return err == nil
						})
					}
					server.Append(b, es.StreamName("order", id), history[covered:]...)
					var replaying, loading []time.Duration
					for b.Loop() {
						began := time.Now()
						want, at, err := plain.Load(b.Context(), id)
						if err != nil {
							b.Fatal(err)
						}
						middle := time.Now()
						got, _, err := snapshots.Load(b.Context(), id)
						loading = append(loading, time.Since(middle))
						replaying = append(replaying, middle.Sub(began))
						if err != nil || got.Status != want.Status || int(at) != events-1 {
							b.Fatalf("got %+v, want %+v, %v", got, want, err)
						}
					}
					b.ReportMetric(float64(median(replaying).Microseconds()), "µs/replay")
					b.ReportMetric(float64(median(loading).Microseconds()), "µs/load")
					b.ReportMetric(float64(median(replaying))/float64(median(loading)), "times-faster")
				})
			}
		})
	}
}

// longHistory is an order that is packed again and again, as no rule would have
// it, but as a stream can be.
func longHistory(n int) []esdb.EventData {
	c := cause.Cause{ID: cause.NewID()}
	events := make([]esdb.EventData, n)
	for i := range events {
		typ, data := stored.Packed, `{"packedAt":"2026-03-14T16:00:00Z"}`
		if i == 0 {
			typ, data = stored.Placed, `{"customerId":"`+customer+`","lines":[{"sku":"mug","name":"Mug","quantity":2,`+
				`"unitPrice":{"amount":1250,"currency":"EUR"}}],"total":{"amount":2500,"currency":"EUR"},"placedAt":"2026-03-14T15:00:00Z"}`
		}
		events[i] = esdb.EventData{
			EventID: c.EventID("order", i), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(data),
			Metadata: fmt.Appendf(nil, `{"version":1,"$correlationId":%q,"$causationId":%q}`, c.ID, c.ID),
		}
	}
	return events
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
