package fulfilment_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/fulfilment"
)

func TestAnOrderThatNobodyPacksIsDelayedOnceAndThenCancelled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.run(t)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		w.clock.advance(61 * time.Minute)
		w.waits(t, id, "pack-expired 2h1m0s")
		w.clock.advance(122 * time.Minute)
		w.is(t, id, fulfilment.StateCancelled)
		w.waits(t, id, "")
		want := []string{"fulfilment-begun", "fulfilment-delayed", "fulfilment-expired", "fulfilment-cancelled"}
		if diff := cmp.Diff(want, w.steps(t, "fulfilment", id)); diff != "" {
			t.Error(diff)
		}
		o, _, err := w.orders.Load(t.Context(), id)
		if err != nil || o.CancelReason != "not packed in time" || !o.CancelledAt.Equal(noon.Add(122*time.Minute)) {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestAnOrderThatNobodyDispatchesIsCancelledAndItsGoodsAreAskedBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.run(t)
		id := w.place(t)
		w.do(t, id, pack)
		w.waits(t, id, "dispatch-overdue 3h30m0s")
		w.clock.advance(211 * time.Minute)
		w.waits(t, id, "dispatch-expired 4h31m0s")
		w.clock.advance(272 * time.Minute)
		w.is(t, id, fulfilment.StateReturning)
		want := []string{"fulfilment-begun", "fulfilment-packed", "fulfilment-delayed", "fulfilment-expired", "fulfilment-return-requested"}
		if diff := cmp.Diff(want, w.steps(t, "fulfilment", id)); diff != "" {
			t.Error(diff)
		}
	})
}

// The command to the order is an event first. One that was killed before it
// reached the order is carried out by the next.
func TestACommandThatWasCommittedAndNotCarriedOutIsCarriedOut(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := w.run(t)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		w.clock.advance(61 * time.Minute)
		w.waits(t, id, "pack-expired 2h1m0s")
		stop()
		w.clock.advance(122 * time.Minute)
		w.asLeader(t, func(ctx context.Context, epoch int64) { // decides, and dies
			for range 2 {
				if err := fulfilment.New(w.config).PassDeadlines(ctx, epoch, w.clock.Now()); err != nil {
					t.Error(err)
				}
			}
		})
		w.is(t, id, fulfilment.StatePackingExpired)
		if got := w.steps(t, "order", id); len(got) != 1 {
			t.Fatalf("the order holds %v", got)
		}
		w.run(t)
		w.is(t, id, fulfilment.StateCancelled)
		if diff := cmp.Diff([]string{"order-placed", "order-cancelled"}, w.steps(t, "order", id)); diff != "" {
			t.Error(diff)
		}
	})
}

// What the order's stream says counts, also when the log has not been read so
// far: the deadline is in the table, and the order is packed.
func TestADeadlineIsJudgedByWhatTheOrdersStreamSaysNow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := w.run(t)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		stop()
		w.do(t, id, pack)
		w.clock.advance(61 * time.Minute)
		w.asLeader(t, func(ctx context.Context, epoch int64) {
			if err := fulfilment.New(w.config).PassDeadlines(ctx, epoch, w.clock.Now()); err != nil {
				t.Error(err)
			}
		})
		if diff := cmp.Diff([]string{"fulfilment-begun", "fulfilment-packed"}, w.steps(t, "fulfilment", id)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeadlinesRestWhileOthersAreNotHeard(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		var waiting, asked atomic.Int64
		waiting.Store(-1)
		w.config.Waiting = func(context.Context) (int, error) {
			asked.Add(1)
			if waiting.Load() < 0 {
				return 0, errors.New("the bus is away")
			}
			return int(waiting.Load()), nil
		}
		unheard := w.place(t)
		var heard atomic.Bool
		w.config.Unheard = func(_ context.Context, orderID string) (bool, error) {
			return orderID == unheard.String() && !heard.Load(), nil
		}
		w.run(t)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		w.clock.advance(61 * time.Minute)
		rests := func(what string) {
			t.Helper()
			before := asked.Load()
			sqldbtest.Eventually(t, "it has looked", func() bool { return asked.Load() > before+2 })
			if got := w.steps(t, "fulfilment", id); len(got) != 1 {
				t.Errorf("%s: %v", what, got)
			}
		}
		rests("the bus is away")
		waiting.Store(fulfilment.MostWaiting + 1)
		rests("much is waiting")
		waiting.Store(0)
		w.is(t, id, fulfilment.StatePackingLate)
		if got := w.steps(t, "fulfilment", unheard); len(got) != 1 {
			t.Errorf("of an order of which something is held: %v", got)
		}
		heard.Store(true)
		w.clock.advance(62 * time.Minute)
		w.is(t, unheard, fulfilment.StatePackingLate)
	})
}

func TestDeadlinesRestForAWhileAfterAStart(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := w.run(t)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		stop()
		w.clock.advance(61 * time.Minute)
		var looks atomic.Int64
		w.config.DeadlinesRest = time.Minute
		w.config.Waiting = func(context.Context) (int, error) { looks.Add(1); return 0, nil }
		w.run(t)
		sqldbtest.Eventually(t, "it has looked", func() bool { return looks.Load() > 2 })
		if got := w.steps(t, "fulfilment", id); len(got) != 1 {
			t.Errorf("at once: %v", got)
		}
		w.clock.advance(63 * time.Minute)
		w.is(t, id, fulfilment.StatePackingLate)
	})
}

func TestEveryEventKnowsWhatItFollowsFrom(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.run(t)
	id := w.place(t)
	w.waits(t, id, "pack-overdue 1h0m0s")
	w.clock.advance(61 * time.Minute)
	w.is(t, id, fulfilment.StatePackingLate)
	order, err := w.store.ReadStream(t.Context(), es.StreamName("order", id), 0)
	if err != nil {
		t.Fatal(err)
	}
	process, err := w.store.ReadStream(t.Context(), es.StreamName("fulfilment", id), 0)
	if err != nil {
		t.Fatal(err)
	}
	stream := es.StreamName("fulfilment", id)
	deadline := cause.Cause{ID: cause.Derive(id, "pack-overdue 1773493200000000")}
	for i, want := range []struct{ id, causation uuid.UUID }{
		{cause.Cause{ID: order[0].ID}.EventID(stream, 0), order[0].ID},
		{deadline.EventID(stream, 0), deadline.ID},
	} {
		e := process[i]
		if e.ID != want.id || e.Metadata.CausationID != want.causation.String() || e.Metadata.CorrelationID != order[0].Metadata.CorrelationID {
			t.Errorf("%s: %+v", e.Type, e)
		}
	}
}
