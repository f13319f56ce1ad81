package relay_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// later is more than what a relay is given before it is called stuck.
const later = time.Minute

func saysWhy(r *relay.Relay, reason string) func() bool {
	return func() bool {
		err := r.Stuck(later)
		return err != nil && strings.Contains(err.Error(), "no progress for") && strings.Contains(err.Error(), reason)
	}
}

func TestARelayWhoseBusDoesNotConfirmSaysSo(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.bus.set(func() {
		w.bus.before = func(ctx context.Context, _ []eventbus.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}
	})
	w.commit(order(1), "placed")
	r := w.relay(w.db)
	stop := w.run(r)
	defer stop()
	sqldbtest.Eventually(t, "it says that the bus has not confirmed", saysWhy(r, "the bus has not confirmed"))
	if err := r.Ready(); err != nil {
		t.Errorf("not ready at once: %v", err)
	}
	sqldbtest.Eventually(t, "it counts the time", func() bool { return r.Stalled() > 0 })
	stop()
	if r.Active() || r.Stalled() != 0 {
		t.Errorf("one that does not publish: active %v, stalled %v", r.Active(), r.Stalled())
	}
}

func TestARelayWhoseDatabaseDoesNotAnswerSaysSo(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	held, release := make(chan struct{}), make(chan struct{})
	w.bus.set(func() {
		w.bus.after = func(context.Context, []eventbus.Event) error {
			go func() { // the one writer of the file
				_ = w.db.Update(context.Background(), func(sqldb.Tx) error { close(held); <-release; return nil })
			}()
			<-held
			w.bus.after = nil
			return nil
		}
	})
	w.commit(order(1), "placed")
	r := w.relay(w.db)
	defer w.run(r)()
	defer close(release)
	sqldbtest.Eventually(t, "it says that the database does not answer", saysWhy(r, "the database does not answer"))
}

func TestARelayThatIsAtTheEndOfTheLogIsNeverStuck(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.commit(order(1), "placed")
	w.write("customer-1", `{}`, "none", "of", "ours") // fewer than the server tells checkpoints for
	r := w.relay(w.db)
	defer w.run(r)()
	w.caughtUp()
	sqldbtest.Eventually(t, "it has seen the end of the log", func() bool { lag, err := r.Lag(t.Context()); return err == nil && lag == 0 })
	if err := r.Stuck(later); err != nil || !r.Active() || r.Stalled() != 0 {
		t.Errorf("stuck %v, active %v, stalled %v", err, r.Active(), r.Stalled())
	}
}

// A subscription can die without a word. It is held here, which looks the same.
func TestASubscriptionThatBringsNothingIsMadeAnew(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.commit(order(1), "placed")
	r := w.relay(w.db)
	r.TrustSubscriptionsFor(40 * time.Millisecond)
	defer w.run(r)()
	w.caughtUp()
	held := w.server.HoldEvents()
	w.commit(order(1), "packed")
	held.Await(t, 3) // the first one, and two that came after it
	sqldbtest.Eventually(t, "it says that nothing comes", saysWhy(r, "the subscription brings nothing"))
	if lag, err := r.Lag(t.Context()); err != nil || lag == 0 {
		t.Errorf("lag %d, %v", lag, err)
	}
	held.Release()
	w.caughtUp()
	if list, _ := w.bus.distinct(); len(list) != 2 {
		t.Errorf("published %v", list)
	}
}

func TestAnIdleSubscriptionIsLeftAlone(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	r := w.relay(w.db)
	r.TrustSubscriptionsFor(20 * time.Millisecond)
	defer w.run(r)()
	w.write("customer-1", `{}`, "none of ours")
	sqldbtest.Eventually(t, "it knows that nothing waits", func() bool { return w.checkpoint() == w.last() })
	held := w.server.HoldEvents()
	defer held.Release()
	w.commit(order(1), "placed") // the one subscription there is brings it
	held.Await(t, 1)
}

func TestADroppedSubscriptionLeadsBackToFollowing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		r := w.relay(db)
		defer w.run(r)()
		for round := range 3 {
			w.commit(order(round), "placed")
			w.caughtUp()
			w.server.DropSubscriptions() // as the server does with a consumer that is too slow
			w.commit(order(round), "packed")
			w.caughtUp()
			w.server.CutConnections()
			w.commit(order(round), "dispatched")
			w.caughtUp()
		}
		if list, _ := w.bus.distinct(); len(list) != 9 {
			t.Errorf("published %v", list)
		}
	})
}

func TestARelayThatStandsByKnowsTheLagOfTheOther(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		stop := w.run(w.relay(db))
		defer stop()
		w.commit(order(1), "placed", "broken")
		w.caughtUp()
		stop()
		w.commit(order(1), "packed", "dispatched")
		other := w.relay(db)
		lag, err := other.Lag(t.Context())
		if err != nil || lag == 0 {
			t.Errorf("lag %d, %v", lag, err)
		}
		if n, err := other.ParkedCount(t.Context()); err != nil || n != 1 {
			t.Errorf("%d parked, %v; want 1", n, err)
		}
	})
}

func TestAnEventStoreThatDoesNotAnswerIsNoticed(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), esdbservertest.InDir(t.TempDir()))
	r := w.relay(w.db)
	defer w.run(r)()
	w.commit(order(1), "placed")
	w.caughtUp()
	w.server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Lag(ctx); err == nil {
		t.Error("the lag behind a log that cannot be read is known")
	}
	w.server.Start()
	w.commit(order(1), "packed")
	w.caughtUp()
}
