package relay_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// watched is a database that tells when it is asked for the lease and for the
// checkpoint, and refuses while they are locked.
type watched struct {
	sqldb.DB
	mu                            sync.Mutex
	lockedLease, lockedCheckpoint bool
	asked                         func(table string)
}

var errLocked = errors.New("the table is locked")

func (d *watched) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *watched) QueryRow(ctx context.Context, sql string, args ...any) sqldb.Row {
	d.mu.Lock()
	locked, asked := map[string]bool{"lease": d.lockedLease, "relay_checkpoint": d.lockedCheckpoint}, d.asked
	d.mu.Unlock()
	_, from, _ := strings.Cut(sql, "FROM ")
	table, _, _ := strings.Cut(from, " ")
	if _, ok := locked[table]; ok && asked != nil {
		asked(table)
	}
	if locked[table] {
		return failed{errLocked}
	}
	return d.DB.QueryRow(ctx, sql, args...)
}

type failed struct{ error }

func (f failed) Scan(...any) error { return f.error }

// manyAttempts take this long at least: each fails at once.
const manyAttempts = 500 * time.Millisecond

// attempts keeps a relay going, as a service does, and counts how often it failed.
func (w *world) attempts(r *relay.Relay) (failures func() int, stop func()) {
	var mu sync.Mutex
	count := 0
	ctx, cancel := context.WithCancel(w.t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for r.Run(ctx) != nil {
			mu.Lock()
			count++
			mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	failures = func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
	return failures, sync.OnceFunc(func() { cancel(); group.Wait() })
}

func TestARelayThatFailsAgainAndAgainSaysSoUntilItGetsFurther(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		fail, mend   func(*world, *watched)
	}{
		{
			"the bus refuses", errBus.Error(),
			func(w *world, _ *watched) {
				w.bus.set(func() { w.bus.before = func(context.Context, []eventbus.Event) error { return errBus } })
			},
			func(w *world, _ *watched) { w.bus.set(func() { w.bus.before = nil }) },
		},
		{
			"the bus refuses, and much before that is none of ours", errBus.Error(),
			func(w *world, _ *watched) {
				w.write("customer-1", `{}`, slices.Repeat([]string{"x"}, 1100)...)
				w.bus.set(func() { w.bus.before = func(context.Context, []eventbus.Event) error { return errBus } })
			},
			func(w *world, _ *watched) { w.bus.set(func() { w.bus.before = nil }) },
		},
		{
			"translating does not work", errTemporary.Error(),
			func(w *world, _ *watched) { w.set(func() { w.outage = true }) },
			func(w *world, _ *watched) { w.set(func() { w.outage = false }) },
		},
		{
			"the checkpoint cannot be read", errLocked.Error(),
			func(_ *world, db *watched) { db.set(func() { db.lockedCheckpoint = true }) },
			func(_ *world, db *watched) { db.set(func() { db.lockedCheckpoint = false }) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, sqldbtest.SQLite(t))
			db := &watched{DB: w.db}
			c.fail(w, db)
			w.commit(order(1), "placed")
			r := w.relay(db)
			failures, stop := w.attempts(r)
			defer stop()
			sqldbtest.Eventually(t, "it says why it gets no further", func() bool {
				return failures() > 1 && saysWhy(r, c.reason)()
			})
			sqldbtest.Eventually(t, "it counts the time of many attempts", func() bool { return r.Stalled() > manyAttempts })
			c.mend(w, db)
			w.caughtUp()
			sqldbtest.Eventually(t, "all is well again", func() bool { return r.Stuck(later) == nil && r.Stalled() == 0 })
		})
	}
}

// A store that is closed refuses at once, also to say where its log ends.
func TestARelayThatCannotFollowSaysSoThoughItDoesNotKnowWhatWaits(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	closed, err := es.Open(w.server.ConnectionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	w.store = closed
	r := w.relay(w.db)
	failures, stop := w.attempts(r)
	defer stop()
	sqldbtest.Eventually(t, "it says why it gets no further", func() bool { return failures() > 1 && saysWhy(r, "closed")() })
	sqldbtest.Eventually(t, "it counts the time of many attempts", func() bool { return r.Stalled() > manyAttempts })
}

func TestNoMomentBetweenTwoFailuresLooksWell(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	db := &watched{DB: w.db}
	w.commit(order(1), "placed")
	w.bus.set(func() { w.bus.before = func(context.Context, []eventbus.Event) error { return errBus } })
	r := w.relay(db)
	if err := r.Run(t.Context()); !errors.Is(err, errBus) {
		t.Fatal(err)
	}
	looks, last := 0, time.Duration(0)
	look := func() {
		looks++
		stalled := r.Stalled()
		if stalled <= last {
			t.Errorf("look %d: stalled for %s, before that for %s", looks, stalled, last)
		}
		last = stalled
	}
	look()
	db.set(func() { db.asked = func(string) { look() } })
	w.bus.set(func() {
		w.bus.before = func(context.Context, []eventbus.Event) error { look(); return errBus }
	})
	for range 3 {
		if err := r.Run(t.Context()); !errors.Is(err, errBus) {
			t.Fatal(err)
		}
		look()
	}
	if looks < 1+3*4 {
		t.Errorf("looked %d times: waiting for the lease, taking over, publishing and ended were meant", looks)
	}
}

func TestAnOutageOfTheDatabaseMakesNoFailureForgotten(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.ttl = 20 * time.Millisecond
	db := &watched{DB: w.db}
	w.commit(order(1), "placed")
	w.bus.set(func() { w.bus.before = func(context.Context, []eventbus.Event) error { return errBus } })
	r := w.relay(db)
	if err := r.Run(t.Context()); !errors.Is(err, errBus) {
		t.Fatal(err)
	}
	db.set(func() { db.lockedLease = true })
	defer w.run(r)()
	sqldbtest.Eventually(t, "it counts the time of the outage", func() bool { return r.Stalled() > 10*w.ttl })
	before, after := r.Stalled(), make(chan time.Duration, 1)
	db.set(func() {
		db.lockedLease = false
		db.asked = func(table string) {
			if table == "relay_checkpoint" {
				select {
				case after <- r.Stalled():
				default:
				}
			}
		}
	})
	if now := <-after; now <= before {
		t.Errorf("stalled for %s, and when its turn has come for %s", before, now)
	}
}

func TestARelayThatDoesNotRunIsNotReady(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	r := w.relay(w.db)
	notRunning := func() bool { err := r.Ready(); return err != nil && strings.Contains(err.Error(), "not running") }
	if !notRunning() {
		t.Errorf("before Run: %v", r.Ready())
	}
	stop := w.run(r)
	defer stop()
	sqldbtest.Eventually(t, "it is ready", func() bool { return r.Ready() == nil })
	w.commit(order(1), "placed")
	w.caughtUp()
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
	stop()
	if !notRunning() || r.Stalled() != 0 {
		t.Errorf("after Run: %v, stalled for %s", r.Ready(), r.Stalled())
	}
	w.bus.set(func() { w.bus.before = func(context.Context, []eventbus.Event) error { return errBus } })
	w.commit(order(1), "packed")
	if err := r.Run(t.Context()); !errors.Is(err, errBus) {
		t.Fatal(err)
	}
	if err := r.Ready(); !notRunning() || !errors.Is(err, errBus) {
		t.Errorf("after a failure: %v", err)
	}
}

func TestARelayThatFailedIsReadyWhenAnotherHasTakenOver(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, inner sqldb.DB) {
		w := newWorld(t, inner)
		other := w.relay(inner)
		db := &watched{DB: inner, lockedCheckpoint: true}
		w.ttl = 100 * time.Millisecond
		r := w.relay(db)
		if err := r.Run(t.Context()); !errors.Is(err, errLocked) || r.Stalled() == 0 {
			t.Fatalf("%v, stalled for %s", err, r.Stalled())
		}
		stopOther := w.run(other)
		defer stopOther()
		sqldbtest.Eventually(t, "the other one works", other.Active)
		first := make(chan time.Duration, 1)
		db.set(func() {
			db.lockedCheckpoint = false
			db.asked = func(table string) {
				if table == "relay_checkpoint" {
					select {
					case first <- r.Stalled():
					default:
					}
				}
			}
		})
		defer w.run(r)()
		sqldbtest.Eventually(t, "it stands by", func() bool { return r.Ready() == nil && r.Stalled() == 0 })
		since := time.Now()
		stopOther()
		if stalled, most := <-first, time.Since(since); stalled > most {
			t.Errorf("its turn began %s ago at most, and it has stalled for %s", most, stalled)
		}
	})
}

// The end of the log can be read although nothing can be followed.
func TestToSeeTheEndOfTheLogIsNoProgressForARelayThatFails(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	r := w.relay(&watched{DB: w.db, lockedCheckpoint: true})
	if err := r.Run(t.Context()); !errors.Is(err, errLocked) {
		t.Fatal(err)
	}
	before := r.Stalled()
	r.SeesEnd(0)
	if now := r.Stalled(); before == 0 || now <= before {
		t.Errorf("stalled for %s, and then for %s", before, now)
	}
}
