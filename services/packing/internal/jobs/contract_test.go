package jobs

import (
	"testing"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
)

func TestWhatIsAnnouncedKeepsItsContract(t *testing.T) {
	c := cause.FromContext(t.Context())
	job := pending()
	job.OrderID, job.CustomerID = cause.NewID().String(), cause.NewID().String()
	var announced []eventbus.Event
	for _, announce := range []func() (eventbus.Event, error){
		func() (eventbus.Event, error) { return announcePacked(must(job.Pack("Ada", later)), c) },
		func() (eventbus.Event, error) {
			return announceReturned(must(must(job.Pack("Ada", later)).Return(later)), c)
		},
		func() (eventbus.Event, error) { return announceRejected(must(job.Reject("no mugs", later)), c) },
	} {
		e, err := announce()
		if err != nil {
			t.Fatal(err)
		}
		announced = append(announced, e)
	}
	contractstest.Publishes(t, "/orderflow/packing", announced)
}

func TestEverySampleOfWhatIsReadIsTakenIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		samples := contractstest.Reads(t, "packing", w.inboxes[0].Patterns())
		for _, e := range samples { // a command is carried out where it can be
			if e.Type == returnToStock {
				w.deliver(t, placedEvent(e.Subject))
				if _, err := w.Pack(t.Context(), e.Subject, Precondition{}, "Ada"); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.deliver(t, samples...)
		if held, parked, err := w.inboxes[0].Backlog(t.Context()); held+parked != 0 || err != nil {
			t.Errorf("%d held, %d parked, %v", held, parked, err)
		}
	})
}

func TestEverySampleOfWhatIsReadIsUnderstood(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, e := range contractstest.Samples(t, orderPlaced) {
			w.deliver(t, e)
			job, err := w.Get(t.Context(), e.Subject)
			if err != nil || job.CustomerID == "" || len(job.Lines) == 0 || job.Lines[0].SKU == "" || job.Lines[0].Quantity == 0 {
				t.Errorf("sample %s: got %+v, %v", e.ID, job, err)
			}
		}
		for _, e := range contractstest.Samples(t, returnToStock) {
			w.deliver(t, placedEvent(e.Subject))
			_, packErr := w.Pack(t.Context(), e.Subject, Precondition{}, "Ada")
			w.deliver(t, e)
			if job, err := w.Get(t.Context(), e.Subject); packErr != nil || err != nil || job.Status() != StatusReturned {
				t.Errorf("sample %s: got %+v, %v, %v", e.ID, job, packErr, err)
			}
		}
		for _, e := range contractstest.Samples(t, dispatched) {
			w.deliver(t, e)
			if job, err := load(t.Context(), w.db, e.Subject); err != nil || job.DispatchedAt.IsZero() {
				t.Errorf("sample %s: got %+v, %v", e.ID, job, err)
			}
		}
		for _, e := range contractstest.Samples(t, orderCancelled) {
			w.deliver(t, e)
			if job, err := load(t.Context(), w.db, e.Subject); err != nil || job.CancelledAt.IsZero() {
				t.Errorf("sample %s: got %+v, %v", e.ID, job, err)
			}
		}
	})
}
