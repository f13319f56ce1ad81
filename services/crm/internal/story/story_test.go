package story_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/crm/internal/letters"
	"orderflow/services/crm/internal/story"
)

func noGuard(context.Context, sqldb.Tx) error { return nil }

func (w *world) kinds(t *testing.T, orderID string) map[letters.Kind]string {
	t.Helper()
	mails, err := w.store.Customer(t.Context(), zoe)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[letters.Kind]string{}
	for _, m := range mails.Mails {
		if m.OrderID == orderID {
			kinds[m.Kind] = m.Status + " " + m.To
		}
	}
	return kinds
}

func TestCustomerIsUnknownUntilItIsKnownThatThereIsOne(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, false)
		w.deliver(t, placed(first, 10), deactivated(5), moved(4, "Linz"))
		if _, err := w.store.Customer(t.Context(), zoe); !errors.Is(err, story.ErrUnknown) {
			t.Fatalf("before created: %v", err)
		}
		w.deliver(t, created("Zoë", "zoe@example.org"), cancelled(other, "customer", 2))
		got, err := w.store.Customer(t.Context(), zoe)
		if err != nil {
			t.Fatal(err)
		}
		want := story.Customer{
			CustomerID: zoe, Name: "Zoë", Email: "zoe@example.org", Status: "deactivated",
			Orders: []story.Order{{OrderID: first, Status: "placed", Total: letters.Money{Amount: 900, Currency: "EUR"}, PlacedAt: noon.Add(10 * time.Minute)}},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(story.Customer{}, "Mails")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEverythingThatHappensToAnOrderIsWrittenToTheCustomer(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, false)
		w.deliver(t, created("Zoë", "zoe@example.org"), placed(first, 10), packed(first), dispatched(first), placed(other, 30), cancelled(other, "packing", 1))
		kept := "kept zoe@example.org"
		want := map[letters.Kind]string{letters.Confirmation: kept, letters.Packed: kept, letters.Dispatched: kept}
		if diff := cmp.Diff(want, w.kinds(t, first)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[letters.Kind]string{letters.Confirmation: kept, letters.Cancelled: kept}, w.kinds(t, other)); diff != "" {
			t.Error(diff)
		}
		found, err := w.store.Customer(t.Context(), zoe)
		if err != nil {
			t.Fatal(err)
		}
		var states []string
		for _, o := range found.Orders {
			states = append(states, o.OrderID+" "+o.Status)
		}
		if diff := cmp.Diff([]string{other + " cancelled", first + " dispatched"}, states); diff != "" {
			t.Errorf("orders, newest first: %s", diff)
		}
	})
}

// Nobody gets a mail about what happened long ago because crm is told again.
func TestWhatIsToldAgainIsWrittenAndNotMailed(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, true)
		again := placed(first, 10)
		again.Replayed = true
		w.deliver(t, created("Zoë", "zoe@example.org"), again, placed(other, 30))
		if diff := cmp.Diff(map[letters.Kind]string{letters.Confirmation: "kept zoe@example.org"}, w.kinds(t, first)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[letters.Kind]string{letters.Confirmation: "queued zoe@example.org"}, w.kinds(t, other)); diff != "" {
			t.Error(diff)
		}
		// Told again what it has heard, it has nothing to change.
		told := placed(other, 30)
		told.Replayed = true
		w.deliver(t, told)
		if diff := cmp.Diff(map[letters.Kind]string{letters.Confirmation: "queued zoe@example.org"}, w.kinds(t, other)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMailWaitsUntilItsRecipientIsKnown(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, true)
		w.deliver(t, dispatched(first))
		if due, err := w.store.Due(t.Context(), time.Now(), 10); err != nil || len(due) != 0 {
			t.Fatalf("due without a recipient: %v, %v", due, err)
		}
		<-w.store.Wake()
		w.deliver(t, created("Zoë", "old@example.org"), contact(1, "Zoë Müller", "new@example.org"))
		<-w.store.Wake()
		due, err := w.store.Due(t.Context(), time.Now(), 10)
		if err != nil || len(due) != 1 {
			t.Fatalf("due: %v, %v", due, err)
		}
		want := story.Due{Kind: letters.Dispatched, To: "new@example.org", Facts: letters.Facts{
			OrderID: first, CustomerName: "Zoë Müller", DispatchedAt: noon.Add(time.Hour), Carrier: "DHL", TrackingNumber: "JD0146", Lines: []letters.Line{},
		}}
		if diff := cmp.Diff(want, due[0], cmpopts.IgnoreFields(story.Due{}, "MailID")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMailThatWasSentStaysAsItWasSent(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, true)
		w.deliver(t, created("Zoë", "zoe@example.org"), placed(first, 10))
		due, err := w.store.Due(t.Context(), time.Now(), 10)
		if err != nil || len(due) != 1 {
			t.Fatalf("due: %v, %v", due, err)
		}
		later := time.Now().Add(time.Hour)
		for _, step := range []struct {
			outcome story.Outcome
			want    string
		}{
			{story.Outcome{Again: later, Reason: "451 busy"}, "queued zoe@example.org"},
			{story.Outcome{Sent: true}, "sent zoe@example.org"},
			{story.Outcome{GiveUp: true, Reason: "550 no"}, "sent zoe@example.org"}, // it is no longer queued
		} {
			if err := w.store.Settle(t.Context(), due[0], step.outcome, noGuard); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[letters.Kind]string{letters.Confirmation: step.want}, w.kinds(t, first)); diff != "" {
				t.Errorf("after %+v: %s", step.outcome, diff)
			}
			if due, err := w.store.Due(t.Context(), time.Now(), 10); err != nil || len(due) != 0 {
				t.Fatalf("due after %+v: %v, %v", step.outcome, due, err)
			}
		}
		w.deliver(t, contact(1, "Zoë", "new@example.org"), placed(first, 10))
		if diff := cmp.Diff(map[letters.Kind]string{letters.Confirmation: "sent zoe@example.org"}, w.kinds(t, first)); diff != "" {
			t.Errorf("after the address changed: %s", diff)
		}
	})
}

func TestListsOfMailsGoOnWhereTheyStopped(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, false)
		for i := range 7 {
			w.deliver(t, placed(fmt.Sprintf("01928f40-0000-7000-8000-%012d", i), i))
		}
		all, err := w.store.Mails(t.Context(), "", story.Top(), 100)
		if err != nil || len(all) != 7 {
			t.Fatalf("%d mails, %v", len(all), err)
		}
		var paged []story.Mail
		below := story.Top()
		for {
			page, err := w.store.Mails(t.Context(), "", below, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			below = story.Below(page[len(page)-1])
		}
		if diff := cmp.Diff(all, paged); diff != "" {
			t.Error(diff)
		}
		if one, err := w.store.Mails(t.Context(), all[3].OrderID, story.Top(), 10); err != nil || len(one) != 1 || one[0] != all[3] {
			t.Errorf("of one order: %v, %v", one, err)
		}
	})
}

// The process of an order counts its own events, so what it says does not make
// the row look as if it had seen more of the order than it has.
func TestADelayWritesAMailForEachStageAndCountsNoneOfTheOrdersEvents(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, false)
		w.deliver(t, created("Zoë", "zoe@example.org"), delayed(first, "dispatch"), placed(first, 10), delayed(first, "packing"), delayed(first, "packing"))
		want := map[letters.Kind]string{
			letters.Confirmation: "kept zoe@example.org", letters.PackingDelayed: "kept zoe@example.org", letters.DispatchDelayed: "kept zoe@example.org",
		}
		if diff := cmp.Diff(want, w.kinds(t, first)); diff != "" {
			t.Error(diff)
		}
		rows := read(t, w.store.Ledgers()[1], service.LedgerQuery{Limit: 10})
		if len(rows) != 1 || rows[0].LastSequence != 0 {
			t.Errorf("the ledger says %+v", rows)
		}
		w.deliver(t, delayed(other, "the moon"))
		if _, parked, err := w.in.Backlog(t.Context()); err != nil || parked != 1 {
			t.Errorf("%d parked, %v", parked, err)
		}
	})
}

func TestEventAboutNothingThatCouldBeFoundIsLeftToAPerson(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), false)
	anonymous := event("packing.events.packed.v1", first, 1, 20, map[string]any{"orderId": first, "packedBy": "Pat"})
	w.deliver(t, packed("order 7"), anonymous)
	letters, _, err := w.in.DeadLetters(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(letters) != 2 {
		t.Errorf("%d dead letters, want 2", len(letters))
	}
}

func TestEverySampleOfWhatIsReadIsTakenIn(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t), true)
	w.deliver(t, contractstest.Reads(t, "crm", w.in.Patterns())...)
	if held, parked, err := w.in.Backlog(t.Context()); held+parked != 0 || err != nil {
		t.Errorf("%d held, %d parked, %v", held, parked, err)
	}
	due, err := w.store.Due(t.Context(), time.Now(), 100)
	if err != nil || len(due) == 0 {
		t.Fatalf("%d mails due, %v", len(due), err)
	}
	for _, d := range due {
		if d.Kind == letters.Confirmation && (d.Facts.Total.Currency == "" || len(d.Facts.Lines) == 0 || d.Facts.Lines[0].Name == "") {
			t.Errorf("a confirmation without what was ordered: %+v", d.Facts)
		}
		if d.Kind == letters.Dispatched && (d.Facts.Carrier == "" || d.Facts.TrackingNumber == "") {
			t.Errorf("a dispatch without carrier: %+v", d.Facts)
		}
		if d.Kind == letters.Cancelled && (d.Facts.CancelledBy == "" || d.Facts.CancelReason == "") {
			t.Errorf("a cancellation without who and why: %+v", d.Facts)
		}
	}
}

func read(t *testing.T, ledger service.Ledger, q service.LedgerQuery) []service.LedgerRow {
	t.Helper()
	rows, err := ledger.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestLedgerAndTraceTellWhatIsThere(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, true)
		w.deliver(t, created("Zoë", "zoe@example.org"), contact(3, "Zoë", "z@example.org"), placed(first, 10), cancelled(first, "customer", 4), packed(other))
		customers, orders := w.store.Ledgers()[0], w.store.Ledgers()[1]
		rows := append(read(t, customers, service.LedgerQuery{Limit: 10}), read(t, orders, service.LedgerQuery{Limit: 10})...)
		want := []service.LedgerRow{
			{Subject: zoe, LastSequence: 3, Status: "active", Facts: map[string]string{"personal": "whole"}},
			{Subject: first, LastSequence: 4, Status: "cancelled", Facts: map[string]string{
				"customer": zoe, "total": "900 EUR", "placedAt": "2025-05-01T12:10:00.000000Z", "cancelledAt": "2025-05-01T12:40:00.000000Z", "names": "2 Green tea", "mails": "order-cancelled 1, order-confirmation 1",
			}},
			{Subject: other, LastSequence: -1, Status: "packed", Facts: map[string]string{
				"customer": zoe, "packedAt": "2025-05-01T12:20:00.000000Z", "mails": "order-packed 1",
			}},
		}
		if diff := cmp.Diff(want, rows, cmpopts.IgnoreFields(service.LedgerRow{}, "ChangedAt")); diff != "" {
			t.Error(diff)
		}
		if rest := read(t, orders, service.LedgerQuery{Subject: first, Limit: 1}); len(rest) != 1 || rest[0].Subject != other {
			t.Errorf("after %s: %v", first, rest)
		}
		if one := read(t, orders, service.LedgerQuery{Subject: first, Exactly: true, Limit: 10}); len(one) != 1 || one[0].Subject != first {
			t.Errorf("of %s: %v", first, one)
		}

		due, err := w.store.Due(t.Context(), time.Now(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range due {
			if d.Kind == letters.Confirmation {
				if err := w.store.Settle(t.Context(), d, story.Outcome{Sent: true}, noGuard); err != nil {
					t.Fatal(err)
				}
			}
		}
		items, err := w.store.Trace(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, item := range items {
			told = append(told, item.Kind+" "+item.Type+" "+item.Detail)
		}
		if diff := cmp.Diff([]string{"wrote customer_order cancelled", "mailed order-confirmation sent", "pending order-cancelled queued"}, told, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
			t.Error(diff)
		}
		if items, err := w.store.Trace(t.Context(), zoe); err != nil || len(items) != 0 {
			t.Errorf("trace of no order: %v, %v", items, err)
		}
	})
}

// A mail about an order that has no row is found, and what is left of somebody who
// is forgotten: each would be seen by nobody else.
func TestTheLedgerTellsOfWhatHasNoRowAndOfWhatIsLeft(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, true)
		w.deliver(t, created("Zoë", "zoe@example.org"), placed(first, 10), placed(other, 11))
		sqldbtest.Exec(t, db, `DELETE FROM customer_order WHERE order_id = '`+other+`'`)
		mails := read(t, w.store.Ledgers()[2], service.LedgerQuery{Limit: 10})
		want := []service.LedgerRow{{Subject: other, LastSequence: -1, Facts: map[string]string{"mails": "order-confirmation 1"}}}
		if diff := cmp.Diff(want, mails); diff != "" {
			t.Error(diff)
		}

		w.deliver(t, gone(9))
		row := func() service.LedgerRow { return read(t, w.store.Ledgers()[0], service.LedgerQuery{Limit: 10})[0] }
		if r := row(); r.Status != "forgotten" || len(r.Facts) != 0 {
			t.Errorf("whoever is forgotten: %+v", r)
		}
		sqldbtest.Exec(t, db, `UPDATE mail SET recipient = 'zoe@example.org' WHERE order_id = '`+first+`'`)
		if r := row(); r.Facts["personal"] != "part" {
			t.Errorf("a mail still says to whom it went: %+v", r)
		}
	})
}
