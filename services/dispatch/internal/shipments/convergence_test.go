package shipments

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb/sqldbtest"
)

// facts compares rows without what differs between any two of them.
var facts = cmpopts.IgnoreFields(Shipment{}, "OrderID", "CustomerID", "ChangedAt")

// copied is what the row of a customer says.
type copied struct {
	Name, Address                 string
	NameSequence, AddressSequence int64
}

func (w *world) copied(ctx context.Context, customerID string) (c copied, err error) {
	return c, w.db.QueryRow(ctx, `SELECT name, address, name_sequence, address_sequence FROM customer WHERE customer_id = $1`,
		customerID).Scan(&c.Name, &c.Address, &c.NameSequence, &c.AddressSequence)
}

// story is what the other services say about one order and its customer, in
// order. Whether the order is cancelled and the customer forgotten differs.
func story(orderID, customerID string, cancelled, forgotten bool) []eventbus.Event {
	events := []eventbus.Event{
		createdEvent(customerID), movedEvent(customerID, "2 Second Street", 1), renamedEvent(customerID, "Countess Ada", 2),
		packedEvent(orderID, customerID), movedEvent(customerID, "3 Third Street", 4), renamedEvent(customerID, "Ada Lovelace", 7),
	}
	if cancelled {
		events = append(events, cancelledEvent(orderID))
	}
	if forgotten {
		events = append(events, forgottenEvent(customerID))
	}
	return events
}

// The events are told in any order and again, also when the inbox has forgotten
// that it handled them, so the rows have to bear it by themselves.
func TestAnyOrderOfDeliveryWithAnyDuplicatesGivesTheSameRows(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, variant := range []struct{ cancelled, forgotten bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
			story := func(orderID, customerID string) []eventbus.Event {
				return story(orderID, customerID, variant.cancelled, variant.forgotten)
			}
			order, customer := cause.NewID().String(), cause.NewID().String()
			w.deliver(t, story(order, customer)...)
			wantShipment, err := load(t.Context(), w.db, order)
			if err != nil {
				t.Fatal(err)
			}
			wantCustomer, err := w.copied(t.Context(), customer)
			if err != nil {
				t.Fatal(err)
			}
			if variant.forgotten {
				if want := (copied{Address: "{}", NameSequence: 9, AddressSequence: 9}); wantCustomer != want || !wantShipment.Forgotten {
					t.Fatalf("got %+v and %+v, want nothing that tells who it was", wantCustomer, wantShipment)
				}
			} else if wantShipment.Recipient != "Ada Lovelace" || wantShipment.Address.Line1 != "3 Third Street" {
				t.Fatalf("got %+v, want the newest name and address", wantShipment)
			}
			rapid.Check(t, func(r *rapid.T) {
				order, customer := cause.NewID().String(), cause.NewID().String()
				once := story(order, customer)
				events := slices.Concat(once, rapid.SliceOfN(rapid.SampledFrom(once), 0, 5).Draw(r, "duplicates"))
				events = rapid.Permutation(events).Draw(r, "order")
				for len(events) > 0 {
					n := rapid.IntRange(1, len(events)).Draw(r, "batch")
					in := w.inboxes[rapid.IntRange(0, 1).Draw(r, "inbox")]
					if err := deliver(t.Context(), in, events[:n]...); err != nil {
						r.Fatal(err)
					}
					events = events[n:]
					if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
						sqldbtest.Exec(t, w.db, `DELETE FROM inbox`)
					}
				}
				gotShipment, err := load(t.Context(), w.db, order)
				if err != nil {
					r.Fatal(err)
				}
				gotCustomer, err := w.copied(t.Context(), customer)
				if err != nil {
					r.Fatal(err)
				}
				if diff := cmp.Diff(wantShipment, gotShipment, facts) + cmp.Diff(wantCustomer, gotCustomer); diff != "" {
					r.Fatalf("rows differ (-in order +got):\n%s", diff)
				}
			})
		}
	})
}

// A person may be at work while the events are on their way. Whoever is first
// wins, and what was announced is what the row says.
func TestAPersonAndACancellationEndInARowThatWasAnnounced(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			order, customer := cause.NewID().String(), cause.NewID().String()
			steps := map[string]func(){
				"created":   func() { w.deliver(t, createdEvent(customer)) },
				"moved":     func() { w.deliver(t, movedEvent(customer, "2 Second Street", 1)) },
				"packed":    func() { w.deliver(t, packedEvent(order, customer)) },
				"cancelled": func() { w.deliver(t, cancelledEvent(order)) },
			}
			sequence := []string{"created", "moved", "packed", "cancelled", "dispatch", "dispatch", "dispatch"}
			sent := Address{}
			for _, step := range rapid.Permutation(sequence).Draw(rt, "steps") {
				if step != "dispatch" {
					steps[step]()
					continue
				}
				if s, err := w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014"); err == nil && sent == (Address{}) {
					sent = s.Address
				}
			}
			shipment, err := w.Get(t.Context(), order)
			if err != nil || shipment.CancelledAt.IsZero() {
				rt.Fatalf("the cancellation is lost: %+v, %v", shipment, err)
			}
			announced := len(w.announced(t, order))
			switch shipment.Status() {
			case StatusDispatched:
				if announced != 1 || shipment.Address != sent || shipment.Recipient != "Ada" {
					rt.Fatalf("%d announced, sent to %v, the row says %+v", announced, sent, shipment)
				}
			case StatusCancelled:
				if announced != 0 || sent != (Address{}) {
					rt.Fatalf("cancelled, but %d announced and sent to %v", announced, sent)
				}
			default:
				rt.Fatalf("got %q", shipment.Status())
			}
		})
	})
}

// A person may dispatch at any moment of a story in which the customer is
// forgotten. Whatever comes first, nothing tells who they were in the end.
func TestWhoeverIsForgottenIsInNoRow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			order, customer := cause.NewID().String(), cause.NewID().String()
			steps := map[string]func(){
				"created":   func() { w.deliver(t, createdEvent(customer)) },
				"moved":     func() { w.deliver(t, movedEvent(customer, "2 Second Street", 1)) },
				"packed":    func() { w.deliver(t, packedEvent(order, customer)) },
				"forgotten": func() { w.deliver(t, forgottenEvent(customer)) },
			}
			over, dispatched := false, false
			for _, step := range rapid.Permutation([]string{"created", "moved", "packed", "forgotten", "dispatch", "dispatch"}).Draw(rt, "steps") {
				if step != "dispatch" {
					steps[step]()
					over = over || step == "forgotten"
					continue
				}
				_, err := w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014")
				if err == nil && over && !dispatched {
					rt.Fatal("dispatched to somebody who is forgotten")
				}
				dispatched = dispatched || err == nil
			}
			var personal int
			if err := w.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM customer WHERE customer_id = $1 AND (name <> '' OR address <> '{}'))
				+ (SELECT count(*) FROM shipment WHERE customer_id = $1 AND (recipient <> '' OR address LIKE '%Street%'))`, customer).
				Scan(&personal); err != nil || personal > 0 {
				rt.Fatalf("%d rows tell who it was, %v", personal, err)
			}
			shipment, err := w.Get(t.Context(), order)
			if err != nil || dispatched != (shipment.Status() == StatusDispatched) || show(shipment).Recipient != "forgotten" {
				rt.Fatalf("dispatched: %v, and it is shown as %+v, %v", dispatched, show(shipment), err)
			}
			if _, err := w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014"); dispatched != (err == nil) ||
				err != nil && !errors.Is(err, ErrCustomerForgotten) {
				rt.Fatalf("asked again: %v", err)
			}
		})
	})
}

// TestDispatchingAndForgettingAtOnceLeaveNothing has the two meet. Whichever is
// first, the box has no name on it in the end.
func TestDispatchingAndForgettingAtOnceLeaveNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 40 {
			order, customer := cause.NewID().String(), cause.NewID().String()
			w.deliver(t, createdEvent(customer), packedEvent(order, customer))
			var group sync.WaitGroup
			start := make(chan struct{})
			group.Go(func() {
				<-start
				_, err := w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014")
				if err != nil && !errors.Is(err, ErrCustomerForgotten) {
					t.Error(err)
				}
			})
			group.Go(func() {
				<-start
				if err := deliver(t.Context(), w.inboxes[0], forgottenEvent(customer)); err != nil {
					t.Error(err)
				}
			})
			close(start)
			group.Wait()
			var recipient, address string
			if err := w.db.QueryRow(t.Context(), `SELECT recipient, address FROM shipment WHERE order_id = $1`, order).
				Scan(&recipient, &address); err != nil || recipient != "" || strings.Contains(address, "Street") {
				t.Fatalf("the row says %q, %s, %v", recipient, address, err)
			}
		}
	})
}

// TestNoStatisticsKeepWhoSomebodyIs has PostgreSQL look at customers and at what
// stood on boxes.
func TestNoStatisticsKeepWhoSomebodyIs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 9 {
			order, customer := cause.NewID().String(), cause.NewID().String()
			w.deliver(t, createdEvent(customer), packedEvent(order, customer))
			if _, err := w.Dispatch(t.Context(), order, Precondition{}, "DHL", "JD014"); err != nil {
				t.Fatal(err)
			}
		}
		kept := sqldbtest.Statistics(t, w.db)
		for _, text := range []string{"Ada", "First Street"} {
			if strings.Contains(kept, text) {
				t.Errorf("%q is kept: %s", text, kept)
			}
		}
	})
}
