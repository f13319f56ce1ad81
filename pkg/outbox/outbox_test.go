package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestWhatCommittedIsPublishedInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		options := w.quick
		options.Window = 7
		o := newOutbox(t, db, bus, options)
		w.start(t, o)
		want := names("e", 50)
		for some := range slices.Chunk(want, 3) {
			var events []eventbus.Event
			for _, id := range some {
				events = append(events, event(id, "order-1"))
			}
			add(t, db, o, events...)
		}
		waitSent(t, o)
		if diff := cmp.Diff(want, bus.ids()); diff != "" {
			t.Error(diff)
		}
		eventually(t, "it was counted", func() bool { return o.Stats().Sent == 50 })
		if stats := o.Stats(); stats.Failures != 0 || stats.Parked != 0 {
			t.Errorf("counted %+v", stats)
		}
	})
}

func TestWhatRolledBackIsNeverPublished(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		o := newOutbox(t, db, bus, w.quick)
		w.start(t, o)
		refusal := errors.New("the rule says no")
		err := db.Update(t.Context(), func(tx sqldb.Tx) error {
			if err := o.Add(t.Context(), tx, cause.Cause{}, event("lost", "a")); err != nil {
				return err
			}
			return refusal
		})
		if !errors.Is(err, refusal) {
			t.Fatal(err)
		}
		add(t, db, o, event("kept", "a"))
		waitSent(t, o)
		if diff := cmp.Diff([]string{"kept"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnEventArrivesAsItWasAdded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		o := newOutbox(t, db, bus, w.quick)
		w.start(t, o)
		c := cause.Cause{
			ID: cause.NewID(), CorrelationID: "corr", TraceParent: "00-1-2-01",
			Request: "POST /jobs/7/pack", At: time.Date(2026, 5, 6, 7, 8, 8, 0, time.UTC),
		}
		full := event("full", "a")
		full.DataContentType, full.Data = "application/octet-stream", []byte{0, 255}
		full.CorrelationID, full.CausationID, full.TraceParent, full.Sequence = "own", "own cause", "00-3-4-01", 42
		bare := event("bare", "a")
		bare.Data = nil
		err := db.Update(t.Context(), func(tx sqldb.Tx) error { return o.Add(t.Context(), tx, c, full, bare) })
		if err != nil {
			t.Fatal(err)
		}
		waitSent(t, o)
		bare.DataContentType, bare.Data = "application/json", []byte{}
		bare.CorrelationID, bare.CausationID, bare.TraceParent = "corr", c.ID.String(), "00-1-2-01"
		if diff := cmp.Diff([]eventbus.Event{full, bare}, bus.events, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		trace, err := o.Trace(t.Context(), "a")
		if err != nil || len(trace) != 2 {
			t.Fatalf("traced %d rows, %v", len(trace), err)
		}
		for i, want := range []eventbus.Event{full, bare} {
			got := trace[i]
			if diff := cmp.Diff(want, got.Event, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if got.Request != c.Request || !got.RequestedAt.Equal(c.At) || got.SentAt.Before(got.AddedAt) || !got.ParkedAt.IsZero() {
				t.Errorf("traced %+v", got)
			}
		}
	})
}

func TestABadEventIsRefusedWhereItIsAdded(t *testing.T) {
	db := sqldbtest.SQLite(t)
	o := newOutbox(t, db, &fakeBus{}, quick)
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		return o.Add(t.Context(), tx, cause.Cause{}, event("good", "a"), event("", "a"))
	})
	if !errors.Is(err, eventbus.ErrInvalidEvent) {
		t.Errorf("got %v, want ErrInvalidEvent", err)
	}
	if n := pending(t, o); n != 0 {
		t.Errorf("%d events wait", n)
	}
}

func TestTheSameFactIsAddedOnceAndAnotherUnderItsIDIsAnError(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		o := newOutbox(t, db, &fakeBus{}, w.quick)
		add(t, db, o, event("one", "a"))
		add(t, db, o, event("one", "a"), event("two", "a"), event("two", "a"))
		if n := pending(t, o); n != 2 {
			t.Errorf("%d events wait, want 2", n)
		}
		err := db.Update(t.Context(), func(tx sqldb.Tx) error {
			return o.Add(t.Context(), tx, cause.Cause{}, event("one", "another subject"))
		})
		if !errors.Is(err, outbox.ErrIDTaken) {
			t.Errorf("got %v, want ErrIDTaken", err)
		}
	})
}

func TestABusThatIsDownStopsNothingForGood(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		bus.set(down)
		o := newOutbox(t, db, bus, w.quick)
		if o.Ready() == nil {
			t.Error("ready before it runs")
		}
		w.start(t, o)
		add(t, db, o, event("one", "a"))
		eventually(t, "it said why it is not ready", func() bool {
			err := o.Ready()
			return err != nil && strings.Contains(err.Error(), errBusDown.Error())
		})
		eventually(t, "it tried again and again", func() bool { return o.Stats().Failures > 3 })
		bus.set(nil)
		waitSent(t, o)
		eventually(t, "it was ready again", func() bool { return o.Ready() == nil })
		if diff := cmp.Diff([]string{"one"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestABusThatDoesNotAnswerIsAskedAgain(t *testing.T) {
	db := sqldbtest.SQLite(t)
	bus := &fakeBus{}
	bus.set(func(ctx context.Context, _ []eventbus.Event) error {
		<-ctx.Done() // a lost connection is waited out for as long as the context allows
		return ctx.Err()
	})
	options := quick
	options.PublishTimeout = 10 * time.Millisecond
	o := newOutbox(t, db, bus, options)
	add(t, db, o, event("one", "a"))
	start(t, o)
	eventually(t, "it gave up one attempt", func() bool { return o.Stats().Failures > 0 && o.Ready() != nil })
	bus.set(nil)
	waitSent(t, o)
}

func TestADatabaseThatGoesAwayStopsNothingForGood(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := &sqldbtest.Cuttable{DB: w.db}
		bus := &fakeBus{}
		options := w.quick
		options.LeaseTTL = 100 * time.Millisecond
		o := newOutbox(t, db, bus, options)
		w.start(t, o)
		add(t, db, o, event("one", "a"))
		waitSent(t, o)
		db.Cut(true)
		eventually(t, "it said that it is not ready", func() bool { return o.Ready() != nil })
		db.Cut(false)
		add(t, db, o, event("two", "a"))
		waitSent(t, o)
		eventually(t, "it was ready again", func() bool { return o.Ready() == nil })
	})
}

func TestWhatCouldNotBeMarkedIsPublishedAgainUnderTheSameID(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := &sqldbtest.Cuttable{DB: w.db}
		bus := &fakeBus{}
		o := newOutbox(t, db, bus, w.quick)
		stop := w.start(t, o)
		bus.set(func(context.Context, []eventbus.Event) error {
			db.Cut(true) // the bus has it, and the process cannot say so
			return nil
		})
		add(t, db, o, event("one", "a"))
		eventually(t, "it published and could not say so", func() bool { return len(bus.ids()) == 1 && db.Refused() > 2 })
		stop()
		bus.set(nil)
		db.Cut(false)
		w.start(t, o)
		waitSent(t, o)
		if diff := cmp.Diff([]string{"one", "one"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatCannotBeMarkedAtOnceIsPublishedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := &sqldbtest.Cuttable{DB: w.db}
		bus := &fakeBus{}
		options := w.quick
		options.LeaseTTL = time.Hour // it is not lost meanwhile
		o := newOutbox(t, db, bus, options)
		w.start(t, o)
		bus.set(func(context.Context, []eventbus.Event) error {
			db.Cut(true)
			return nil
		})
		add(t, db, o, event("one", "a"))
		eventually(t, "marking failed", func() bool { return len(bus.ids()) == 1 && db.Refused() > 4 })
		bus.set(nil)
		db.LoseCommits(1) // and once more, after the commit
		db.Cut(false)
		waitSent(t, o)
		add(t, w.db, o, event("two", "a"))
		waitSent(t, o)
		if diff := cmp.Diff([]string{"one", "two"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOneRefusedEventStopsNoOther(t *testing.T) {
	for name, why := range map[string]error{"invalid": eventbus.ErrInvalidEvent, "unroutable": eventbus.ErrUnroutable} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				db := w.db
				bus := &fakeBus{}
				bus.set(refuse(why, "e017", "e099"))
				o := newOutbox(t, db, bus, w.quick)
				w.start(t, o)
				var want []string
				var events []eventbus.Event
				for i, id := range names("e", 100) {
					events = append(events, event(id, fmt.Sprint("order-", i%10)))
					if id != "e017" && id != "e099" {
						want = append(want, id)
					}
				}
				add(t, db, o, events...)
				waitSent(t, o)
				if diff := cmp.Diff(want, bus.ids()); diff != "" {
					t.Error(diff)
				}
				parked, next, err := o.DeadLetters(t.Context(), "", 10)
				if err != nil || next != "" || len(parked) != 2 {
					t.Fatalf("parked %v, next %q, %v", parked, next, err)
				}
				for i, id := range []string{"e099", "e017"} { // newest first
					if parked[i].Event.ID != id || !strings.Contains(parked[i].Reason, why.Error()) || parked[i].ParkedAt.IsZero() {
						t.Errorf("parked %+v, want %s with its reason", parked[i], id)
					}
				}
				eventually(t, "it was counted", func() bool { stats := o.Stats(); return stats.Sent == 98 && stats.Parked == 2 })
				if err := o.Ready(); err != nil {
					t.Errorf("a parked event makes it unready: %v", err)
				}
			})
		})
	}
}

func TestAPersonDecidesAboutParkedEvents(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		bus.set(refuse(eventbus.ErrUnroutable, "one", "two", "three"))
		o := newOutbox(t, db, bus, w.quick)
		w.start(t, o)
		add(t, db, o, event("one", "a"), event("two", "a"), event("three", "a"))
		waitSent(t, o)

		var paged []string
		for cursor := ""; ; {
			page, next, err := o.DeadLetters(t.Context(), cursor, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				paged = append(paged, p.Event.ID)
			}
			if cursor = next; next == "" {
				break
			}
		}
		if diff := cmp.Diff([]string{"three", "two", "one"}, paged); diff != "" {
			t.Error(diff)
		}
		if _, _, err := o.DeadLetters(t.Context(), "soup", 1); !errors.Is(err, outbox.ErrBadCursor) {
			t.Errorf("a bad cursor gave %v", err)
		}

		bus.set(nil)
		if err := o.Redrive(t.Context(), "two"); err != nil {
			t.Fatal(err)
		}
		if err := o.Discard(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		waitSent(t, o)
		if diff := cmp.Diff([]string{"two"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
		for _, decide := range []func(context.Context, string) error{o.Redrive, o.Discard} {
			for _, id := range []string{"one", "two", "never"} {
				if err := decide(t.Context(), id); !errors.Is(err, outbox.ErrNotParked) {
					t.Errorf("deciding about %s gave %v, want ErrNotParked", id, err)
				}
			}
		}
		if letter, err := o.DeadLetter(t.Context(), "three"); err != nil || letter.Event.Subject != "a" {
			t.Errorf("got %+v, %v", letter, err)
		}
		if _, err := o.DeadLetter(t.Context(), "two"); !errors.Is(err, outbox.ErrNotParked) {
			t.Errorf("got %v, want ErrNotParked", err)
		}
	})
}

func TestOneProcessPublishesAndAnotherTakesOver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		options := w.quick
		options.LeaseTTL = time.Hour // a clean stop hands over at once
		first, second := newOutbox(t, db, bus, options), newOutbox(t, db, bus, options)
		stopFirst := w.start(t, first)
		add(t, db, first, event("one", "a"))
		waitSent(t, first)
		start(t, second)
		eventually(t, "standing by was ready", func() bool { return second.Ready() == nil })
		add(t, db, second, event("two", "a"))
		waitSent(t, second)
		eventually(t, "the active one counted both", func() bool { return first.Stats().Sent == 2 })
		if n := second.Stats().Sent; n != 0 {
			t.Errorf("the one that stands by sent %d", n)
		}
		stopFirst()
		add(t, db, second, event("three", "a"))
		waitSent(t, second)
		if diff := cmp.Diff([]string{"one", "two", "three"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAPublisherThatWakesUpLateMarksNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		o := newOutbox(t, db, bus, w.quick)
		asleep, wake := make(chan struct{}), make(chan struct{})
		bus.set(func(context.Context, []eventbus.Event) error {
			close(asleep)
			<-wake
			return nil
		})
		w.start(t, o)
		add(t, db, o, event("one", "a"))
		<-asleep
		// Somebody else took the lease while the process slept.
		sqldbtest.Exec(t, db, `UPDATE lease SET epoch = epoch + 1, holder = 'other', expires_at = 0 WHERE name = 'outbox'`)
		bus.set(down)
		close(wake)
		eventually(t, "it came back under a new epoch", func() bool { return o.Stats().Failures > 0 })
		if n := pending(t, o); n != 1 {
			t.Errorf("%d events wait, want the one that the old epoch must not mark", n)
		}
		bus.set(nil)
		waitSent(t, o)
	})
}

func TestConcurrentCommandsLoseNothingAndKeepEachSubjectInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		options := w.quick
		options.Window = 5
		o := newOutbox(t, db, bus, options)
		sqldbtest.Exec(t, db, `CREATE TABLE aggregate (id TEXT PRIMARY KEY, version BIGINT NOT NULL)`)
		sqldbtest.Exec(t, db, `INSERT INTO aggregate VALUES ('a', 0), ('b', 0), ('c', 0)`)
		w.start(t, o)
		const workers, each = 6, 15
		var group sync.WaitGroup
		for w := range workers {
			group.Go(func() {
				for i := range each {
					subject := string(rune('a' + (w+i)%3))
					err := db.Update(t.Context(), func(tx sqldb.Tx) error {
						var version int64
						if err := tx.QueryRow(t.Context(), `UPDATE aggregate SET version = version + 1 WHERE id = $1 RETURNING version`, subject).Scan(&version); err != nil {
							return err
						}
						e := event(fmt.Sprintf("%s-%d", subject, version), subject)
						e.Sequence = version
						return o.Add(t.Context(), tx, cause.Cause{}, e)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		waitSent(t, o)
		bus.mu.Lock()
		defer bus.mu.Unlock()
		last := map[string]int64{}
		for _, e := range bus.events {
			if e.Sequence != last[e.Subject]+1 {
				t.Errorf("%s came after %d of its subject", e.ID, last[e.Subject])
			}
			last[e.Subject] = e.Sequence
		}
		if total := last["a"] + last["b"] + last["c"]; total != workers*each {
			t.Errorf("published up to %v, %d events in all, want %d", last, total, workers*each)
		}
	})
}

func TestOldRowsAreForgottenAndParkedOnesAreNot(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := w.db
		bus := &fakeBus{}
		bus.set(refuse(eventbus.ErrUnroutable, "parked"))
		o := newOutbox(t, db, bus, w.quick)
		stop := w.start(t, o)
		var events []eventbus.Event
		for _, id := range names("old", 30) {
			events = append(events, event(id, "a"))
		}
		add(t, db, o, append(events, event("parked", "a"))...)
		waitSent(t, o)
		stop()
		add(t, db, o, event("new", "a"))
		stop = w.start(t, o)
		waitSent(t, o)
		stop()
		sqldbtest.Exec(t, db, `UPDATE outbox SET sent_at = 1 WHERE id LIKE 'old%'`)
		sqldbtest.Exec(t, db, `UPDATE outbox SET parked_at = 1 WHERE parked_at IS NOT NULL`)
		w.quick.Retention = time.Hour
		w.start(t, newOutbox(t, db, bus, w.quick))
		eventually(t, "the old rows went", func() bool {
			return sqldbtest.Count(t, db, `SELECT count(*) FROM outbox WHERE id LIKE 'old%'`) == 0
		})
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM outbox`); n != 2 {
			t.Errorf("%d rows are left, want the new one and the parked one", n)
		}
	})
}
