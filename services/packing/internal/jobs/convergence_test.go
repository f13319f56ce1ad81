package jobs

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
)

// facts compares rows without what differs between any two of them.
var facts = cmpopts.IgnoreFields(Job{}, "OrderID", "ChangedAt")

// The events are told in any order and again, also when the inbox has forgotten
// that it handled them, so the rows have to bear it by themselves.
func TestAnyOrderOfDeliveryWithAnyDuplicatesGivesTheSameRow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		inOrder := func(orderID string) []eventbus.Event {
			return []eventbus.Event{placedEvent(orderID), cancelledEvent(orderID), dispatchedEvent(orderID)}
		}
		straight := cause.NewID().String()
		w.deliver(t, inOrder(straight)...)
		want, err := load(t.Context(), w.db, straight)
		if err != nil {
			t.Fatal(err)
		}
		if want.Status() != StatusCancelled || len(want.Lines) != 2 {
			t.Fatalf("got %+v, want a cancelled job", want)
		}
		rapid.Check(t, func(r *rapid.T) {
			orderID := cause.NewID().String()
			once := inOrder(orderID)
			events := slices.Concat(once, rapid.SliceOfN(rapid.SampledFrom(once), 0, 4).Draw(r, "duplicates"))
			events = rapid.Permutation(events).Draw(r, "order")
			for len(events) > 0 {
				n := rapid.IntRange(1, len(events)).Draw(r, "batch")
				in := w.inboxes[rapid.IntRange(0, 1).Draw(r, "inbox")]
				if err := deliver(t.Context(), in, events[:n]...); err != nil {
					r.Fatal(err)
				}
				events = events[n:]
				if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
					w.forgetsWhatItHandled(t)
				}
			}
			got, err := load(t.Context(), w.db, orderID)
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(want, got, facts); diff != "" {
				r.Fatalf("rows differ (-in order +got):\n%s", diff)
			}
		})
	})
}

func TestTwoFactsThatArriveAtOnceAreBothNoted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 20 {
			orderID := cause.NewID().String()
			var both sync.WaitGroup
			for i, e := range []eventbus.Event{placedEvent(orderID), cancelledEvent(orderID)} {
				both.Go(func() {
					if err := deliver(t.Context(), w.inboxes[i], e); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			if job, err := w.Get(t.Context(), orderID); err != nil || job.Status() != StatusCancelled || job.Version != 1 {
				t.Fatalf("got %+v, %v, want it placed and cancelled", job, err)
			}
		}
	})
}

// A packer may be at work while the cancellation is on its way. Whoever is first
// wins, and what was announced is what the row says.
func TestAPackerAndACancellationEndInARowThatWasAnnounced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			orderID := cause.NewID().String()
			steps := rapid.Permutation([]string{"placed", "cancelled", "pack", "pack", "reject"}).Draw(rt, "steps")
			for _, step := range steps {
				switch step {
				case "placed":
					w.deliver(t, placedEvent(orderID))
				case "cancelled":
					w.deliver(t, cancelledEvent(orderID))
				case "pack":
					_, _ = w.Pack(t.Context(), orderID, Precondition{}, "Ada") // may be refused
				case "reject":
					_, _ = w.Reject(t.Context(), orderID, Precondition{}, "no mugs") // may be refused
				}
			}
			job, err := w.Get(t.Context(), orderID)
			if err != nil {
				rt.Fatal(err)
			}
			if job.CancelledAt.IsZero() {
				rt.Fatalf("the cancellation is lost: %+v", job)
			}
			var types []string
			for _, e := range w.announced(t, orderID) {
				types = append(types, e.Type)
			}
			want := map[Status][]string{StatusPacked: {packedV1}, StatusRejected: {rejectedV1}, StatusCancelled: nil}
			if diff := cmp.Diff(want[job.Status()], types); diff != "" {
				rt.Fatalf("%s job after %v (-want +announced):\n%s", job.Status(), steps, diff)
			}
		})
	})
}

// The goods are asked back while the carrier may be at the door, and both may be
// told twice. What is announced is what was done; a box that is gone is gone.
func TestGoodsThatAreAskedBackAreReturnedOnceUnlessTheyAreGone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			orderID := cause.NewID().String()
			w.deliver(t, placedEvent(orderID))
			if _, err := w.Pack(t.Context(), orderID, Precondition{}, "Ada"); err != nil {
				rt.Fatal(err)
			}
			once := []eventbus.Event{cancelledEvent(orderID), returnCommand(orderID)}
			gone := rapid.Bool().Draw(rt, "dispatched")
			if gone {
				once = append(once, dispatchedEvent(orderID))
			}
			events := slices.Concat(once, rapid.SliceOfN(rapid.SampledFrom(once), 0, 3).Draw(rt, "duplicates"))
			back, left := false, false
			for _, e := range rapid.Permutation(events).Draw(rt, "order") {
				left = left || e.Type == dispatched
				back = back || e.Type == returnToStock && !left
				if err := deliver(t.Context(), w.inboxes[rapid.IntRange(0, 1).Draw(rt, "inbox")], e); err != nil {
					rt.Fatal(err)
				}
				if rapid.IntRange(0, 3).Draw(rt, "forget") == 0 {
					w.forgetsWhatItHandled(t)
				}
			}
			job, err := w.Get(t.Context(), orderID)
			if err != nil {
				rt.Fatal(err)
			}
			want, said := StatusReturned, []string{packedV1}
			if gone {
				want = StatusPacked
			}
			if back {
				said = append(said, returnedV1)
			}
			var types []string
			for _, e := range w.announced(t, orderID) {
				types = append(types, e.Type)
			}
			changes := int64(len(said)) // each of what is announced, and each fact that was heard, counts up by one
			if changes++; gone {
				changes++
			}
			if diff := cmp.Diff(said, types); job.Status() != want || job.Version != changes || diff != "" {
				rt.Fatalf("%s at version %d, want %s at %d (-want +announced):\n%s", job.Status(), job.Version, want, changes, diff)
			}
		})
	})
}

// A command for what was never packed has come too early, or is a mistake: it is
// tried again, and then left to a person.
func TestACommandThatCannotBeCarriedOutIsHeld(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		orderID := cause.NewID().String()
		w.deliver(t, placedEvent(orderID), returnCommand(orderID))
		if held, parked, err := w.inboxes[0].Backlog(t.Context()); held != 1 || parked != 0 || err != nil {
			t.Errorf("%d held, %d parked, %v", held, parked, err)
		}
		if said := w.announced(t, orderID); len(said) != 0 {
			t.Errorf("announced %v", said)
		}
	})
}
