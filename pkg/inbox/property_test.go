package inbox_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// The ways in which the handler of an event may behave.
const (
	succeeds     = "succeeds"
	failsOnce    = "fails once"
	failsTwice   = "fails twice"
	failsForEver = "fails for ever"
	parks        = "parks"
	panicsOnce   = "panics once"
	outageTwice  = "outage twice"
	losesAnswer  = "commits, and the answer is lost"
)

var manners = []string{
	succeeds, succeeds, succeeds, succeeds, succeeds, // mostly all is well
	failsOnce, failsTwice, failsForEver, parks, panicsOnce, outageTwice, losesAnswer,
}

// TestAnyInterleavingHasEachEffectOnceAndInOrder delivers the events of a few
// subjects to two instances in batches of any size, again and again, while
// handlers fail in every way there is and held events are tried in between. On
// PostgreSQL both instances may have the same batch at the same time, and try
// what is held meanwhile. In the end each event had its effect once, in the
// order of its subject, or is parked because it had to be.
func TestAnyInterleavingHasEachEffectOnceAndInOrder(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, inner sqldb.DB) {
		db := &sqldbtest.Cuttable{DB: inner}
		options := inbox.Options{MaxAttempts: 5, BaseDelay: time.Nanosecond, MaxDelay: time.Nanosecond, Concurrency: 3}
		newWorld(t, db, options) // the tables
		rapid.Check(t, func(r *rapid.T) {
			for _, table := range []string{"effect", "inbox", "inbox_held"} {
				sqldbtest.Exec(t, db, `DELETE FROM `+table)
			}
			options.Lanes = rapid.IntRange(1, 3).Draw(r, "lanes")
			w := attach(db, options)
			instances := []*world{w, attach(db, options)}
			events, mustPark := drawEvents(r, instances, db)
			for start := 0; start < len(events); {
				end := min(start+rapid.IntRange(1, 12).Draw(r, "batch"), len(events))
				deliver(r, instances, events[start:end])
				if rapid.Bool().Draw(r, "again") {
					from := rapid.IntRange(0, end-1).Draw(r, "from")
					deliver(r, instances, events[from:end])
				}
				for range rapid.IntRange(0, 2).Draw(r, "rounds") {
					// An outage ends a round.
					_, _ = rapid.SampledFrom(instances).Draw(r, "trying").in.Round(context.Background())
				}
				start = end
			}
			for tries := 0; ; tries++ {
				found, err := w.in.Round(context.Background())
				if err == nil && found == 0 {
					break
				}
				if tries > 500 {
					r.Fatalf("still %d held subjects, error %v", found, err)
				}
			}
			deliver(r, instances, events) // everything once more: all is known
			verify(t, r, w, events, mustPark)
		})
	})
}

func drawEvents(r *rapid.T, instances []*world, db *sqldbtest.Cuttable) (events []eventbus.Event, mustPark []string) {
	for i := range rapid.IntRange(1, 30).Draw(r, "events") {
		subject := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "subject")
		e := event(rapid.SampledFrom([]string{placed, packed, tagged, moved}).Draw(r, "type"), subject, fmt.Sprintf("%s-%02d", subject, i))
		manner := rapid.SampledFrom(manners).Draw(r, "manner")
		if manner == failsForEver || manner == parks {
			mustPark = append(mustPark, e.ID)
		}
		do := behaviour(manner, db)
		for _, w := range instances {
			w.when(e.ID, do)
		}
		events = append(events, e)
	}
	return events, mustPark
}

func behaviour(manner string, db *sqldbtest.Cuttable) func() error {
	once := times(1, errHandler)
	switch manner {
	case failsOnce:
		return once
	case failsTwice:
		return times(2, errHandler)
	case failsForEver:
		return always(errHandler)
	case parks:
		return always(inbox.Park(errHandler))
	case panicsOnce:
		return func() error {
			if once() != nil {
				panic("boom")
			}
			return nil
		}
	case outageTwice:
		return times(2, inbox.Outage(errHandler))
	case losesAnswer:
		return func() error {
			if once() != nil {
				db.LoseCommits(1)
			}
			return nil
		}
	default:
		return nil
	}
}

// deliver does what a bus does: the same batch until it is acknowledged, to one
// of the instances, or to both.
func deliver(r *rapid.T, instances []*world, events []eventbus.Event) {
	to := []*world{rapid.SampledFrom(instances).Draw(r, "to")}
	both := instances[0].db.Dialect() == sqldb.Postgres && rapid.Bool().Draw(r, "both")
	if both {
		to = instances
	}
	var group sync.WaitGroup
	var never atomic.Bool
	for _, w := range to {
		group.Go(func() {
			for range 200 {
				if w.in.Handle(context.Background(), batch(events...)) == nil {
					return
				}
			}
			never.Store(true)
		})
	}
	if both {
		_, _ = instances[0].in.Round(context.Background())
	}
	group.Wait()
	if never.Load() {
		r.Fatal("a batch is never acknowledged")
	}
}

func verify(t *testing.T, r *rapid.T, w *world, events []eventbus.Event, mustPark []string) {
	letters, _, err := w.in.DeadLetters(t.Context(), "", 100)
	if err != nil {
		r.Fatal(err)
	}
	var parked []string
	for _, letter := range letters {
		if letter.Status != "parked" {
			r.Errorf("%s is still %s", letter.Event.ID, letter.Status)
		}
		parked = append(parked, letter.Event.ID)
	}
	slices.Sort(parked)
	slices.Sort(mustPark)
	if diff := cmp.Diff(mustPark, parked); diff != "" {
		r.Errorf("parked: %s", diff)
	}
	for _, subject := range []string{"a", "b", "c"} {
		want := []string{}
		for _, e := range events {
			if e.Subject == subject && !slices.Contains(mustPark, e.ID) {
				want = append(want, e.ID)
			}
		}
		if diff := cmp.Diff(want, w.effects(t, subject)); diff != "" {
			r.Errorf("effects of %s: %s", subject, diff)
		}
	}
}
