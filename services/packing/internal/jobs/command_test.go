package jobs

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestOneOfManyPackersWinsAndIsAnnounced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		orderID := cause.NewID().String()
		w.deliver(t, placedEvent(orderID))
		const packers = 8
		errs := make([]error, packers)
		var all sync.WaitGroup
		for i := range packers {
			all.Go(func() { _, errs[i] = w.Pack(t.Context(), orderID, Precondition{}, "packer "+strconv.Itoa(i)) })
		}
		all.Wait()
		won := ""
		for i, err := range errs {
			switch {
			case err == nil && won == "":
				won = "packer " + strconv.Itoa(i)
			case !errors.Is(err, ErrAlreadyPacked):
				t.Errorf("packer %d: %v, want %v", i, err, ErrAlreadyPacked)
			}
		}
		job, err := w.Get(t.Context(), orderID)
		if err != nil || job.PackedBy != won || job.Version != 1 {
			t.Errorf("got %+v, %v; want it packed by %q", job, err, won)
		}
		if events := w.announced(t, orderID); len(events) != 1 {
			t.Errorf("announced %v, want one event", events)
		}
	})
}

func TestACancellationThatArrivesWhilePackingIsNeverLost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 20 {
			orderID := cause.NewID().String()
			w.deliver(t, placedEvent(orderID))
			var both sync.WaitGroup
			var refused, failed error
			both.Go(func() { _, refused = w.Pack(t.Context(), orderID, Precondition{}, "Ada") })
			both.Go(func() { failed = deliver(t.Context(), w.inboxes[0], cancelledEvent(orderID)) })
			both.Wait()
			if failed != nil {
				t.Fatal(failed)
			}
			job, err := w.Get(t.Context(), orderID)
			if err != nil || job.CancelledAt.IsZero() {
				t.Fatalf("the cancellation is lost: %+v, %v", job, err)
			}
			announced := len(w.announced(t, orderID))
			switch job.Status() {
			case StatusPacked:
				if refused != nil || announced != 1 {
					t.Errorf("packed, but the packer heard %v and %d events were announced", refused, announced)
				}
			case StatusCancelled:
				if !errors.Is(refused, ErrCancelled) || announced != 0 {
					t.Errorf("cancelled, but the packer heard %v and %d events were announced", refused, announced)
				}
			default:
				t.Errorf("got %q", job.Status())
			}
		}
	})
}

func TestAPackerWhoHeardNothingAsksAgainAndIsAnnouncedOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		cuttable := &sqldbtest.Cuttable{DB: db}
		w := newWorld(t, cuttable)
		orderID := cause.NewID().String()
		w.deliver(t, placedEvent(orderID))

		cuttable.LoseCommits(1)
		if _, err := w.Pack(t.Context(), orderID, Precondition{}, "Ada"); err == nil {
			t.Fatal("the lost answer went unnoticed")
		}
		job, err := w.Pack(t.Context(), orderID, Precondition{}, "Ada")
		if err != nil || job.Status() != StatusPacked || job.Version != 1 {
			t.Fatalf("got %+v, %v", job, err)
		}
		if events := w.announced(t, orderID); len(events) != 1 {
			t.Errorf("announced %v, want one event", events)
		}
	})
}

func TestWhatIsAnnouncedNamesItsCauseAndItsOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		orderID := cause.NewID().String()
		w.deliver(t, placedEvent(orderID))
		c := cause.Cause{
			ID: cause.NewID(), CorrelationID: "the packer's request", TraceParent: "00-1-2-01",
			Request: "POST /jobs/x/pack", At: later.Add(123456 * time.Nanosecond),
		}
		job, err := w.Pack(cause.NewContext(t.Context(), c), orderID, service.Only(0), "Ada")
		if err != nil {
			t.Fatal(err)
		}
		events := w.announced(t, orderID)
		if len(events) != 1 {
			t.Fatalf("announced %v, want one event", events)
		}
		e := events[0]
		if want := later.Add(123 * time.Microsecond); !e.Time.Equal(want) || !job.PackedAt.Equal(want) {
			t.Errorf("announced at %s, packed at %s, want %s", e.Time, job.PackedAt, want)
		}
		got := []any{e.ID, e.CorrelationID, e.CausationID, e.TraceParent, e.Sequence}
		id := cause.IntegrationID(c.EventID("packing-"+orderID, 0), packedV1).String()
		if diff := cmp.Diff([]any{id, "request", c.ID.String(), c.TraceParent, int64(1)}, got); diff != "" {
			t.Errorf("envelope (-want +got):\n%s", diff)
		}
		if _, err := w.Reject(t.Context(), orderID, service.Only(0), "no"); !errors.Is(err, ErrStale) {
			t.Errorf("a command on version 0: %v, want %v", err, ErrStale)
		}
	})
}
