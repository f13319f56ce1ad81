package listing_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/position"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/listing"
)

func positionOf(id uuid.UUID, revision int64) position.Position {
	return position.Position{Source: listing.Source, Subject: id.String(), Name: "order.events.any", Sequence: revision}
}

func TestTheListIsWaitedFor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		reader := listing.New(w.db, w.store, slog.New(slog.DiscardHandler)) // an instance that stands by
		id := w.place(t, ann, at)
		for _, l := range []*listing.Listing{w.list, reader} {
			if state, err := l.Await(t.Context(), positionOf(id, 0), 0); state != position.Missing || err != nil {
				t.Errorf("before it runs: %s, %v", state, err)
			}
		}
		run(t, w.list)
		w.do(t, id, pack)
		for revision := range int64(2) {
			for _, l := range []*listing.Listing{w.list, reader} {
				if state, err := l.Await(t.Context(), positionOf(id, revision), time.Minute); state != position.Applied || err != nil {
					t.Errorf("revision %d: %s, %v", revision, state, err)
				}
			}
		}
		if state, err := w.list.Await(t.Context(), positionOf(id, 2), 20*time.Millisecond); state != position.Missing || err != nil {
			t.Errorf("what has not happened: %s, %v", state, err)
		}
	})
}

// complete asks until the list is known to be complete up to a moment.
func complete(t *testing.T, l *listing.Listing, up time.Time) {
	t.Helper()
	sqldbtest.Eventually(t, "the list is known to be complete", func() bool { return l.Complete(t.Context()).After(up) })
}

func TestAListKnowsUpToWhenItIsComplete(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		reader := listing.New(w.db, w.store, slog.New(slog.DiscardHandler))
		complete(t, w.list, time.Now()) // there is nothing it could lack
		stop := run(t, w.list)
		id := w.place(t, ann, at)
		w.listed(t, id, 0)
		for _, l := range []*listing.Listing{w.list, reader} {
			complete(t, l, time.Now())
		}
		stop()
		before := time.Now()
		w.do(t, id, pack)
		sqldbtest.Eventually(t, "it is looked again", func() bool { // a second after the look before
			return time.Since(before) > 2500*time.Millisecond && w.list.Complete(t.Context()).Before(before) && reader.Complete(t.Context()).Before(before)
		})
		run(t, listing.New(w.db, w.store, slog.New(slog.DiscardHandler)))
		for _, l := range []*listing.Listing{w.list, reader} {
			complete(t, l, time.Now())
		}
	})
}

func TestOtherStreamsKeepNoListFromBeingComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t))
	run(t, w.list)
	w.listed(t, w.place(t, ann, at), 0)
	for range 3 {
		w.strangers(t, 1500)
		complete(t, w.list, time.Now())
	}
}

// While orders come without a pause, the list is hardly ever at the end of the
// log, and yet not far behind.
func TestAListThatIsNeverAtTheEndIsStillKnownToGetAlong(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		run(t, w.list)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for began := time.Now(); time.Since(began) < 4*time.Second; {
				w.place(t, ann, at)
			}
		}()
		began := time.Now()
		complete(t, w.list, began)
		<-ended
	})
}
