package story_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/crm/internal/story"
)

func none(context.Context, sqldb.Tx) error { return nil }

// TestOneWhoIsForgottenIsShownAsThat has mails in all states, with what a mail
// server says of their recipient.
func TestOneWhoIsForgottenIsShownAsThat(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, true)
		w.deliver(t, created("Zoë", "zoe@example.org"), placed(first, 10), packed(first), dispatched(first), deactivated(5))
		due, err := w.store.Due(t.Context(), time.Now(), 10)
		if err != nil || len(due) != 3 {
			t.Fatalf("%d mails are due, %v", len(due), err)
		}
		for i, outcome := range []story.Outcome{{Sent: true}, {GiveUp: true, Reason: "550 no zoe@example.org"}} {
			if err := w.store.Settle(t.Context(), due[i], outcome, none); err != nil {
				t.Fatal(err)
			}
		}
		w.deliver(t, gone(6))
		// The third is in the hands of a sender.
		for _, outcome := range []story.Outcome{{Reason: "450 later, zoe@example.org", Again: time.Now()}, {Sent: true}} {
			if err := w.store.Settle(t.Context(), due[2], outcome, none); err != nil {
				t.Fatal(err)
			}
		}
		w.deliver(t, placed(other, 30))
		nothingPersonal(t, rowsOf(t, db))
		customer, err := w.store.Customer(t.Context(), zoe)
		if err != nil || customer.Status != "forgotten" || customer.Name != "forgotten" || customer.Email != "" || len(customer.Orders) != 2 {
			t.Errorf("shown as %+v, %v", customer, err)
		}
		statuses := map[string]int{}
		for _, m := range customer.Mails {
			statuses[m.Status]++
			if m.To != "" {
				t.Errorf("a mail to %q", m.To)
			}
		}
		if statuses["sent"] != 1 || statuses["failed"] != 3 {
			t.Errorf("mails: %v", statuses)
		}
		if due, err := w.store.Due(t.Context(), time.Now().Add(time.Hour), 10); err != nil || len(due) != 0 {
			t.Errorf("%d mails are due, %v", len(due), err)
		}
	})
}

// TestNoStatisticsKeepWhoSomebodyIs has PostgreSQL look at customers and mails.
func TestNoStatisticsKeepWhoSomebodyIs(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, true)
		for n := range 9 {
			e := created("Zoë Quist", "quist@example.org")
			e.Subject, e.ID = cause.NewID().String(), fmt.Sprint("created", n)
			left := deactivated(5)
			left.Subject, left.ID, left.Data = e.Subject, fmt.Sprint("left", n), []byte(`{"reason":"went to Quist"}`)
			w.deliver(t, e, left)
		}
		w.deliver(t, created("Zoë Quist", "quist@example.org"), placed(first, 10), packed(first), dispatched(first))
		due, err := w.store.Due(t.Context(), time.Now(), 10)
		if err != nil || len(due) != 3 {
			t.Fatalf("%d mails are due, %v", len(due), err)
		}
		for _, d := range due {
			if err := w.store.Settle(t.Context(), d, story.Outcome{GiveUp: true, Reason: "550 no quist@example.org"}, none); err != nil {
				t.Fatal(err)
			}
		}
		kept := strings.ToLower(sqldbtest.Statistics(t, db))
		for _, text := range []string{"quist", "wien", "ring 1"} {
			if strings.Contains(kept, text) {
				t.Errorf("%q is kept: %s", text, kept)
			}
		}
	})
}
