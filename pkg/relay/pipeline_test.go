package relay_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestTheNextWindowIsReadWhileOneIsBeingConfirmed(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	reached := make(chan struct{})
	w.bus.set(func() {
		w.bus.before = func(ctx context.Context, _ []eventbus.Event) error {
			w.commit(order(2), "placed", "packed")
			w.bus.before = nil
			select {
			case <-reached:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	w.commit(order(1), "placed")
	defer w.run(w.relay(w.db))()
	sqldbtest.Eventually(t, "events were translated behind the one being confirmed", func() bool {
		return w.translations() >= 3
	})
	if at := w.checkpoint(); at != 0 {
		t.Errorf("the checkpoint is at %d with nothing confirmed", at)
	}
	close(reached)
	w.caughtUp()
	if diff := cmp.Diff([]string{"1@0 placed", "2@0 placed", "2@1 packed"}, w.bus.published()); diff != "" {
		t.Error(diff)
	}
}

func TestTheNextWindowIsConfirmedWhileOneIsBeingSaved(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	held, release := make(chan struct{}), make(chan struct{})
	w.bus.set(func() {
		w.bus.after = func(context.Context, []eventbus.Event) error {
			go func() {
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
	<-held
	w.commit(order(1), "packed")
	sqldbtest.Eventually(t, "the second was published", func() bool { return len(w.bus.published()) == 2 })
	if n := r.Stats().Published; n != 0 {
		t.Errorf("%d count as published before they were noted", n)
	}
	close(release)
	w.caughtUp()
	sqldbtest.Eventually(t, "both count", func() bool { return r.Stats().Published == 2 })
}

// What a relay holds in memory does not grow with what waits in the log.
func TestABusThatStandsStillStopsReadingToo(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	release := make(chan struct{})
	w.bus.set(func() {
		w.bus.before = func(ctx context.Context, _ []eventbus.Event) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	const total = 8000
	types := make([]string, 1000)
	for i := range types {
		types[i] = "placed"
	}
	for n := range total / len(types) {
		w.commit(order(n), types...)
	}
	r := w.relay(w.db)
	defer w.run(r)()
	before, same := 0, 0
	sqldbtest.Eventually(t, "reading stopped", func() bool {
		n := w.translations()
		if n != before {
			before, same = n, 0
		}
		same++
		return n > 0 && same == 100
	})
	// A batch has 512 events: one that cannot be handed over, two that wait, and
	// those that went to the bus.
	if before > 4*512+relay.DefaultWindow {
		t.Errorf("%d events in memory", before)
	}
	close(release)
	sqldbtest.Eventually(t, "reading goes on", func() bool { return w.translations() == total })
}

func TestABacklogFillsTheWindow(t *testing.T) {
	const window = 2500
	w := newWorld(t, sqldbtest.SQLite(t))
	for i := range 8 {
		w.commit(order(i), slices.Repeat([]string{"placed"}, 512)...)
	}
	sizes, readAhead := make(chan int, 8*512), make(chan struct{})
	w.bus.set(func() {
		w.bus.before = func(ctx context.Context, events []eventbus.Event) error {
			sizes <- len(events)
			select {
			case <-readAhead: // a window has been read while this one is being confirmed
			case <-ctx.Done():
			}
			return ctx.Err()
		}
	})
	r := relay.New(relay.Config{
		Name: "order", Store: w.store, Prefixes: []string{"order-"}, DB: w.db, Bus: w.bus, Translate: w.translate, LeaseTTL: w.ttl, Window: window,
	})
	defer w.run(r)()
	first := <-sizes
	sqldbtest.Eventually(t, "a window was read behind the one being confirmed", func() bool { return w.translations() >= first+window })
	close(readAhead)
	if second := <-sizes; second < window {
		t.Errorf("published %d events at once, then %d, with %d to be published and a window of %d", first, second, 8*512-first, window)
	}
}
