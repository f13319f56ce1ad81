package listing_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/listing"
)

// TestTheListIsWhatTheStreamsSay draws what happens to a few orders, interleaved
// in any way, and compares every row with its stream.
func TestTheListIsWhatTheStreamsSay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		run(t, w.list)
		rapid.Check(t, func(r *rapid.T) {
			orders := make([]uuid.UUID, rapid.IntRange(1, 4).Draw(r, "orders"))
			for i := range orders {
				placed := at.Add(time.Duration(rapid.IntRange(0, 5).Draw(r, "minute")) * time.Minute)
				orders[i] = w.place(r, rapid.SampledFrom([]string{ann, bob}).Draw(r, "customer"), placed)
			}
			decisions := []func(domain.Order) ([]domain.Event, error){pack, dispatch, cancel, reject}
			for range rapid.IntRange(0, 8).Draw(r, "steps") {
				id := rapid.SampledFrom(orders).Draw(r, "order")
				decide := rapid.SampledFrom(decisions).Draw(r, "decision")
				w.do(r, id, func(o domain.Order) ([]domain.Event, error) {
					events, err := decide(o)
					if err != nil {
						return nil, nil //nolint:nilerr // a customer who comes too late
					}
					return events, nil
				})
			}
			for _, id := range orders {
				state, version, err := w.orders.Load(context.Background(), id)
				if err != nil {
					r.Fatal(err)
				}
				row := w.listed(t, id, int64(version))
				if diff := cmp.Diff(state, row.Order); diff != "" {
					r.Errorf("order %s: %s", id, diff)
				}
			}
		})
		// Filters see the same orders that the rows show.
		for _, status := range []domain.Status{domain.StatusPlaced, domain.StatusPacked, domain.StatusDispatched, domain.StatusCancelled} {
			for _, row := range w.find(t, listing.Query{Status: string(status)}) {
				if row.Order.Status != status {
					t.Errorf("%s is found among the %s", row.Order.Status, status)
				}
			}
		}
	})
}

func TestAListThatWasStoppedGoesOnFromItsCheckpoint(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := run(t, w.list)
		first := w.place(t, ann, at)
		w.listed(t, first, 0)
		stop()

		// What is behind the checkpoint is not read again: the row would be back.
		sqldbtest.Exec(t, w.db, `DELETE FROM order_list`)
		second := w.place(t, ann, at)
		w.do(t, second, pack)
		run(t, listing.New(w.db, w.store, slog.New(slog.DiscardHandler)))
		w.listed(t, second, 1)
		if _, found, err := w.list.Row(t.Context(), first.String()); found || err != nil {
			t.Errorf("the log was read from its start (%v)", err)
		}
	})
}

func TestAListWithoutACheckpointIsBuiltAnew(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := run(t, w.list)
		id := w.place(t, ann, at)
		w.do(t, id, pack)
		before := w.listed(t, id, 1)
		stop()
		sqldbtest.Exec(t, w.db, `DELETE FROM order_list_checkpoint`)
		sqldbtest.Exec(t, w.db, `DELETE FROM order_list`)
		run(t, w.list)
		if diff := cmp.Diff(before.Order, w.listed(t, id, 1).Order); diff != "" {
			t.Error(diff)
		}
	})
}

// Reading the log again on top of the rows changes nothing.
func TestAListThatIsReadAgainStaysAsItIs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := run(t, w.list)
		id := w.place(t, ann, at)
		w.do(t, id, pack)
		w.do(t, id, dispatch)
		before := w.listed(t, id, 2)
		stop()
		sqldbtest.Exec(t, w.db, `DELETE FROM order_list_checkpoint`)
		run(t, w.list)
		w.listed(t, w.place(t, ann, at), 0) // it has passed the others
		if diff := cmp.Diff(before, w.listed(t, id, 2)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestASecondInstanceTakesOver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		stop := run(t, w.list)
		w.listed(t, w.place(t, ann, at), 0)
		run(t, listing.New(w.db, w.store, slog.New(slog.DiscardHandler)))
		stop()
		w.listed(t, w.place(t, ann, at), 0)
	})
}

// A writer that was paused for longer than its lease must not write any more.
func TestAnInstanceThatLostItsTurnWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.place(t, ann, at)
		events, err := w.store.ReadStream(t.Context(), es.StreamName("order", id), 0)
		if err != nil {
			t.Fatal(err)
		}
		err = sqldb.NewLease(w.db, "order-list", "test", time.Hour).Run(t.Context(), func(ctx context.Context, epoch int64) error {
			batch := es.Batch{Events: events, Position: 7}
			if err := listing.Write(w.list, ctx, epoch-1, batch); !errors.Is(err, sqldb.ErrFenced) {
				t.Errorf("with the epoch before: %v", err)
			}
			if n := sqldbtest.Count(t, w.db, `SELECT (SELECT count(*) FROM order_list) + (SELECT count(*) FROM order_list_checkpoint)`); n > 0 {
				t.Errorf("%d rows were written", n)
			}
			return listing.Write(w.list, ctx, epoch, batch)
		})
		if err != nil {
			t.Fatal(err)
		}
		w.listed(t, id, 0)
	})
}

func TestAnEventThatCannotBeReadStopsItsOwnRowOnlyAndIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		run(t, w.list)
		good, future, foreign, headless := w.place(t, ann, at), w.place(t, ann, at), w.place(t, ann, at), uuid.New()
		w.scribble(t, future, "order-packed", `{"packedAt":"2026-03-14T16:00:00Z"}`, `{"version":99}`)
		w.scribble(t, future, "order-dispatched", `{"dispatchedAt":"2026-03-14T16:00:00Z"}`, `{"version":1}`)
		w.scribble(t, foreign, "something-else", `{}`, `no metadata`)
		w.scribble(t, headless, "order-packed", `{"packedAt":"2026-03-14T16:00:00Z"}`, `{"version":99}`)
		w.scribble(t, headless, "order-packed", `{"packedAt":"2026-03-14T16:00:00Z"}`, `{"version":1}`)
		w.do(t, good, pack)
		w.listed(t, good, 1)
		last := w.place(t, bob, at)
		w.listed(t, last, 0)

		for _, id := range []uuid.UUID{future, foreign} {
			if row := w.listed(t, id, 0); row.Order.Status != domain.StatusPlaced {
				t.Errorf("%s is shown as %s", id, row.Order.Status)
			}
		}
		if found := w.find(t, listing.Query{}); len(found) != 4 {
			t.Errorf("%d orders listed, want 4", len(found))
		}
		for id, times := range map[uuid.UUID]int{good: 0, last: 0, future: 1, foreign: 1, headless: 1} {
			if n := strings.Count(w.log.String(), id.String()); n != times {
				t.Errorf("told %d times of %s, want %d:\n%s", n, id, times, w.log)
			}
		}
	})
}

func TestTheListGoesOnAfterTheEventStoreWasAway(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), esdbservertest.InDir(t.TempDir()))
	run(t, w.list)
	id := w.place(t, ann, at)
	w.listed(t, id, 0)
	w.server.Stop()
	w.server.Start()
	w.do(t, id, pack)
	w.listed(t, id, 1)
}

func TestTheListGoesOnAfterTheDatabaseWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t))
	db := &sqldbtest.Cuttable{DB: w.db}
	run(t, listing.New(db, w.store, slog.New(slog.DiscardHandler)))
	id := w.place(t, ann, at)
	w.listed(t, id, 0)
	db.Cut(true)
	w.do(t, id, pack)
	sqldbtest.Eventually(t, "a write was refused", func() bool { return db.Refused() > 0 })
	db.Cut(false)
	w.listed(t, id, 1)
	db.LoseCommits(1) // it commits, and does not know it
	w.do(t, id, dispatch)
	w.listed(t, id, 2)
}
