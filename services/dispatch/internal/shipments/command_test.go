package shipments

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestOneOfManyWinsAndIsAnnounced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		order, customer := cause.NewID().String(), cause.NewID().String()
		w.deliver(t, createdEvent(customer), packedEvent(order, customer))
		const people = 8
		errs := make([]error, people)
		var all sync.WaitGroup
		for i := range people {
			all.Go(func() { _, errs[i] = w.Dispatch(t.Context(), order, Precondition{}, "DHL", strconv.Itoa(i)) })
		}
		all.Wait()
		won := ""
		for i, err := range errs {
			switch {
			case err == nil && won == "":
				won = strconv.Itoa(i)
			case !errors.Is(err, ErrAlreadyDispatched):
				t.Errorf("person %d: %v, want %v", i, err, ErrAlreadyDispatched)
			}
		}
		shipment, err := w.Get(t.Context(), order)
		if err != nil || shipment.TrackingNumber != won || shipment.Version != 1 {
			t.Errorf("got %+v, %v; want it dispatched as %q", shipment, err, won)
		}
		events := w.announced(t, order)
		if len(events) != 1 {
			t.Fatalf("announced %v, want one event", events)
		}
		contractstest.Publishes(t, "/orderflow/dispatch", events)
	})
}

func TestACancellationThatArrivesWhileDispatchingIsNeverLost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		customer := cause.NewID().String()
		w.deliver(t, createdEvent(customer))
		for range 20 {
			order := cause.NewID().String()
			w.deliver(t, packedEvent(order, customer))
			var both sync.WaitGroup
			var refused, failed error
			both.Go(func() { _, refused = w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014") })
			both.Go(func() { failed = deliver(t.Context(), w.inboxes[0], cancelledEvent(order)) })
			both.Wait()
			if failed != nil {
				t.Fatal(failed)
			}
			shipment, err := w.Get(t.Context(), order)
			if err != nil || shipment.CancelledAt.IsZero() {
				t.Fatalf("the cancellation is lost: %+v, %v", shipment, err)
			}
			announced := len(w.announced(t, order))
			switch shipment.Status() {
			case StatusDispatched:
				if refused != nil || announced != 1 {
					t.Errorf("dispatched, but the person heard %v and %d events were announced", refused, announced)
				}
			case StatusCancelled:
				if !errors.Is(refused, ErrCancelled) || announced != 0 {
					t.Errorf("cancelled, but the person heard %v and %d events were announced", refused, announced)
				}
			default:
				t.Errorf("got %q", shipment.Status())
			}
		}
	})
}

func TestWhoHeardNothingAsksAgainAndIsAnnouncedOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		cuttable := &sqldbtest.Cuttable{DB: db}
		w := newWorld(t, cuttable)
		order, customer := cause.NewID().String(), cause.NewID().String()
		w.deliver(t, createdEvent(customer), packedEvent(order, customer))

		cuttable.LoseCommits(1)
		if _, err := w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014"); err == nil {
			t.Fatal("the lost answer went unnoticed")
		}
		shipment, err := w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014")
		if err != nil || shipment.Status() != StatusDispatched || shipment.Version != 1 {
			t.Fatalf("got %+v, %v", shipment, err)
		}
		if events := w.announced(t, order); len(events) != 1 {
			t.Errorf("announced %v, want one event", events)
		}
	})
}

func TestEverySampleOfWhatIsReadIsTakenIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deliver(t, contractstest.Reads(t, "dispatch", w.inboxes[0].Patterns())...)
		if held, parked, err := w.inboxes[0].Backlog(t.Context()); held+parked != 0 || err != nil {
			t.Errorf("%d held, %d parked, %v", held, parked, err)
		}
	})
}

func TestEverySampleOfWhatIsReadIsUnderstood(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, e := range contractstest.Samples(t, orderPacked) {
			w.deliver(t, e)
			if s, err := w.Get(t.Context(), e.Subject); err != nil || s.CustomerID == "" {
				t.Errorf("sample %s: got %+v, %v", e.ID, s, err)
			}
		}
		for _, e := range contractstest.Samples(t, orderCancelled) {
			w.deliver(t, e)
			if s, err := load(t.Context(), w.db, e.Subject); err != nil || s.CancelledAt.IsZero() {
				t.Errorf("sample %s: got %+v, %v", e.ID, s, err)
			}
		}
		for _, typ := range []string{customerCreated, customerContactChanged, customerAddressChanged} {
			for _, e := range contractstest.Samples(t, typ) {
				sqldbtest.Exec(t, w.db, `DELETE FROM customer`) // the samples need not fit together
				w.deliver(t, e)
				c, err := w.copied(t.Context(), e.Subject)
				if err != nil || (typ != customerAddressChanged) != (c.Name != "") || (typ != customerContactChanged) != (c.Address != "{}") {
					t.Errorf("sample %s of %s: got %+v, %v", e.ID, typ, c, err)
				}
			}
		}
	})
}
