package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// looking is a feed that tells when the comparison has looked for the first time.
type looking struct {
	rebuild.Feed

	looked chan<- struct{}
}

func (f looking) InFlight(ctx context.Context, live, beside sqldb.Querier, subjects []string, since int64) (map[string]bool, error) {
	select {
	case f.looked <- struct{}{}:
	default:
	}
	return f.Feed.InFlight(ctx, live, beside, subjects, since)
}

// While the live model is behind, thousands of its rows differ with an excuse.
// What is wrong behind them is found all the same.
func TestADifferenceBehindThousandsThatAreOnTheirWayIsFound(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.patience = time.Hour
		looked := make(chan struct{}, 1)
		plain := w.model.Feed
		w.model.Feed = func(db sqldb.DB) rebuild.Feed { return looking{plain(db), looked} }
		w.rebuild = w.another()
		stop := w.live()
		w.run(w.rebuild)
		w.say("z", "word", 1)
		w.has(1)
		stop()
		events := make([]eventbus.Event, 2500)
		for n := range events {
			events[n] = event(fmt.Sprintf("a%05d", n), "word", n)
		}
		w.begin()
		w.sayAll(events)
		w.replay()
		sqldbtest.Exec(t, w.db, `UPDATE word SET word = 'wrong' WHERE subject = 'z'`)
		w.finish(rebuild.Swap)
		<-looked
		w.live()
		want := []rebuild.Difference{{Table: "word", Key: "z", What: `word is "wrong", and should be "word"`}}
		if state := w.becomes(rebuild.Differs); !cmp.Equal(want, state.Differences) || state.Compared < 2501 {
			t.Errorf("%d rows compared: %v", state.Compared, state.Differences)
		}
	})
}

// thief is a bus at which another process takes the first marks, as one does
// that was paused and is still subscribed.
type thief struct {
	eventbus.Bus

	takes atomic.Int32
}

func (b *thief) Send(ctx context.Context, queue string, events ...eventbus.Event) error {
	if strings.HasSuffix(events[0].Type, ".rebuild_mark.v1") && b.takes.Add(-1) >= 0 {
		return nil
	}
	return b.Bus.Send(ctx, queue, events...)
}

func TestAMarkThatNeverComesIsSentAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stolen := &thief{Bus: w.bus}
		stolen.takes.Store(2)
		w.beside = stolen
		w.live()
		w.run(w.rebuild)
		w.say("s", "word", 1)
		w.has(1)
		w.begin()
		w.replay()
		w.finish(rebuild.Swap)
		w.becomes(rebuild.Swapped)
	})
}

// away is a bus to which the new model cannot subscribe.
type away struct {
	eventbus.Bus

	back atomic.Bool
}

func (b *away) Subscribe(ctx context.Context, q eventbus.Queue, h eventbus.Handler) (eventbus.Subscription, error) {
	if !b.back.Load() {
		return nil, errors.New("the bus is away")
	}
	return b.Bus.Subscribe(ctx, q, h)
}

// What keeps a rebuild from going on is shown, and it can be given up.
func TestTroubleIsShownAndARebuildInTroubleCanBeGivenUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		broken := errors.New("the disk is full")
		works := w.model.Migrate
		w.model.Migrate = func(context.Context, sqldb.DB) error { return broken }
		gone := &away{Bus: w.bus}
		w.beside = gone
		w.rebuild = w.another()
		w.live()
		w.say("s", "word", 1)
		w.has(1)
		shows := func(reason string) func() bool {
			return func() bool {
				state, err := w.rebuild.State(t.Context())
				return err == nil && strings.Contains(state.Reason, reason)
			}
		}
		stop := w.runInTrouble(w.rebuild)
		if _, err := w.rebuild.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		sqldbtest.Eventually(t, "it says what the matter is", shows(broken.Error()))
		stop()
		w.model.Migrate = works
		w.rebuild = w.another()
		w.run(w.rebuild)
		sqldbtest.Eventually(t, "it says that the bus is away", shows("the bus is away"))
		if _, err := w.rebuild.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.becomes(rebuild.Cancelled)
		w.gone()
		if _, err := w.rebuild.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		sqldbtest.Eventually(t, "it says again that the bus is away", shows("the bus is away"))
		gone.back.Store(true)
		if state := w.becomes(rebuild.Filling); state.Reason != "" {
			t.Errorf("the trouble is over, and it says %q", state.Reason)
		}
		w.replay()
		w.finish(rebuild.Swap)
		w.becomes(rebuild.Swapped)
	})
}

// lease is how long one lasts.
const lease = time.Second

// slow is a database on which the exchange of a table takes longer than a lease.
type slow struct{ sqldb.DB }

func (s slow) Update(ctx context.Context, fn func(sqldb.Tx) error) error {
	return s.DB.Update(ctx, func(tx sqldb.Tx) error { return fn(slowTx{tx}) })
}

type slowTx struct{ sqldb.Tx }

func (s slowTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if strings.HasSuffix(sql, "word") && (strings.HasPrefix(sql, "DROP TABLE") || strings.HasPrefix(sql, "DELETE FROM")) {
		select {
		case <-time.After(2 * lease):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return s.Tx.Exec(ctx, sql, args...)
}

// The transaction of the swap keeps the lease from being renewed. One of a large
// model is made all the same.
func TestASwapMayTakeLongerThanTheLeaseLasts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.say("s", "word", 1)
		w.has(1)
		w.run(rebuild.New(slow{w.db}, w.url, w.model, slog.New(slog.DiscardHandler),
			rebuild.Options{Poll: 5 * time.Millisecond, Patience: time.Minute, LeaseTTL: lease}))
		w.begin()
		w.replay()
		w.finish(rebuild.Swap)
		w.becomes(rebuild.Swapped)
		w.has(1)
		w.gone()
	})
}
