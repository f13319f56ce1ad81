package listing_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/es"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/listing"
	"orderflow/services/order/internal/stored"
)

// BenchmarkRebuild makes the list anew beside the live one on PostgreSQL, from
// the log to the swap, the comparison included, in turns with what the server
// does with nothing but such rows: statements of 256 of them.
func BenchmarkRebuild(b *testing.B) {
	const orders, each = 20_000, 3
	url := sqldbtest.PostgresURL(b)
	db, err := sqldb.Open(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	w := newWorld(b, db)
	if err := rebuild.Migrate(b.Context(), db); err != nil {
		b.Fatal(err)
	}
	w.fillLog(b, orders)
	quiet := slog.New(slog.DiscardHandler)
	model := listing.Model(w.store, quiet, func(ctx context.Context, db sqldb.DB) error {
		return errors.Join(sqldb.MigrateLease(ctx, db), sqldb.Migrate(ctx, db, "order", os.DirFS("../../migrations")))
	})
	r := rebuild.New(db, url, model, quiet, rebuild.Options{Poll: 10 * time.Millisecond})
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	running := make(chan error, 2)
	go func() { running <- w.list.Run(ctx) }()
	go func() { running <- r.Run(ctx) }()
	for sqldbtest.Count(b, db, `SELECT count(*) FROM order_list WHERE version = 2`) < orders {
		<-time.After(10 * time.Millisecond)
	}
	sqldbtest.Exec(b, db, `CREATE TABLE plain (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, status TEXT NOT NULL, placed_at BIGINT NOT NULL,
		version BIGINT NOT NULL, state TEXT NOT NULL, written_at BIGINT NOT NULL)`)
	var ours, inserted time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := r.Begin(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Finish(b.Context(), rebuild.Swap); err != nil {
			b.Fatal(err)
		}
		var state rebuild.State
		for state.Status != rebuild.Removing && state.Status != rebuild.Swapped {
			if state, err = r.State(b.Context()); err != nil || len(state.Differences) > 0 {
				b.Fatal(state, err)
			}
			<-time.After(5 * time.Millisecond)
		}
		ours += time.Since(began)
		for state.Status != rebuild.Swapped {
			if state, err = r.State(b.Context()); err != nil {
				b.Fatal(err)
			}
			<-time.After(time.Millisecond)
		}
		if n := sqldbtest.Count(b, db, `SELECT count(*) FROM order_list WHERE version = 2`); n != orders {
			b.Fatalf("%d of %d orders", n, orders)
		}
		inserted += insertRows(b, db, orders*each)
		sqldbtest.Exec(b, db, `TRUNCATE plain`)
	}
	total := float64(b.N * orders * each)
	b.ReportMetric(total/ours.Seconds(), "events/s")
	b.ReportMetric(total/inserted.Seconds(), "rows/s-inserted")
	b.ReportMetric(inserted.Seconds()/ours.Seconds(), "of-inserting")
}

// fillLog places, packs and dispatches orders.
func (w *world) fillLog(b *testing.B, orders int) {
	b.Helper()
	var writers errgroup.Group
	writers.SetLimit(64)
	for range orders {
		writers.Go(func() error {
			var o domain.Order
			id := uuid.Must(uuid.NewV7())
			var events []esdb.EventData
			for _, decide := range []func(domain.Order) ([]domain.Event, error){
				func(o domain.Order) ([]domain.Event, error) { return o.Place(ann, lineOf("mug"), at) }, pack, dispatch,
			} {
				happened, err := decide(o)
				if err != nil {
					return err
				}
				for _, e := range happened {
					encoded, err := stored.Codec{}.Encode(context.Background(), id, e)
					if err != nil {
						return err
					}
					events = append(events, esdb.EventData{
						EventID: uuid.New(), EventType: encoded.Type, ContentType: esdb.ContentTypeJson, Data: encoded.Data,
						Metadata: fmt.Appendf(nil, `{"version":%d}`, encoded.Version),
					})
					o = domain.Apply(o, e)
				}
			}
			w.server.Append(b, es.StreamName("order", id), events...)
			return nil
		})
	}
	if err := writers.Wait(); err != nil {
		b.Fatal(err)
	}
}

func insertRows(b *testing.B, db sqldb.DB, count int) time.Duration {
	b.Helper()
	began := time.Now()
	for left := count; left > 0; left -= 256 {
		err := db.Update(b.Context(), func(tx sqldb.Tx) error {
			var args []any
			for range min(left, 256) {
				args = append(args, uuid.NewString(), ann, "placed", int64(1), int64(1), `{"status":"placed","lines":[{"sku":"mug","name":"The mug"}]}`, int64(1))
			}
			sqldb.QueueRows(tx, `INSERT INTO plain (id, customer_id, status, placed_at, version, state, written_at)`, 7, args, "")
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}
