package relay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func history(t *testing.T, r *relay.Relay, after, end int64) (events []eventbus.Event, last int64) {
	t.Helper()
	last = after
	err := r.History().Read(t.Context(), after, end, func(_ context.Context, page []eventbus.Event, position int64) error {
		if position < last || position > end {
			t.Errorf("a page behind %d ends at %d", last, position)
		}
		events, last = append(events, page...), position
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, last
}

// The history is what the relay has announced, under the same ids and in the
// same order, without what it could not announce.
func TestTheHistoryIsWhatWasAnnounced(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		r := w.relay(db)
		if end, err := r.History().End(t.Context()); err != nil || end != 0 {
			t.Errorf("the history of nothing ends at %d, %v", end, err)
		}
		w.commit(order(1), "placed", "broken", "double", "private")
		w.write("customer-"+order(1), `{}`, "created")
		w.commit(order(2), "placed", "panicky")
		w.commit(order(1), "packed")
		w.write("customer-"+order(2), `{}`, "created", "created")

		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if end, err := r.History().End(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the end is %d, %v, before anything was announced", end, err)
		}
		w.run(r)
		end, err := r.History().End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now, err := w.store.End(t.Context()); err != nil || int64(now) != end {
			t.Errorf("the end is %d, that of the log %d, %v", end, now, err)
		}
		events, last := history(t, r, 0, end)
		if diff := cmp.Diff(w.bus.all(), events); diff != "" || last != end || len(events) != 5 {
			t.Errorf("up to %d of %d: %s", last, end, diff)
		}
		// What announces nothing is not waited for: its checkpoint may come late.
		w.commit(order(3), "placed")
		w.caughtUp()
		w.commit(order(3), "private")
		end, err = r.History().End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// On from a position, up to one.
		w.commit(order(1), "dispatched", "returned")
		later, err := r.History().End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if events, last := history(t, r, 0, end); len(events) != 6 || last != end {
			t.Errorf("%d events up to %d", len(events), last)
		}
		if events, last := history(t, r, end, later); len(events) != 2 || last != later {
			t.Errorf("%d events from %d up to %d", len(events), end, last)
		}
		if events, last := history(t, r, later, later); len(events) != 0 || last != later {
			t.Errorf("behind the end are %d events", len(events))
		}
		// What is not there at the moment is no reason to leave something out.
		w.set(func() { w.outage = true })
		err = r.History().Read(t.Context(), 0, end, func(context.Context, []eventbus.Event, int64) error { return nil })
		if !errors.Is(err, errTemporary) {
			t.Errorf("read %v without what translating needs", err)
		}
		w.set(func() { w.outage = false })
	})
}
