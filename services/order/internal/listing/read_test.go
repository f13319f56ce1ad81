package listing_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/listing"
)

// fill places orders of two customers, several at the same time, and returns
// their ids in the order of the list. Every third one is packed.
func (w *world) fill(t *testing.T) []string {
	t.Helper()
	var keys []listing.Key
	for i := range 20 {
		when := at.Add(time.Duration(i/6) * time.Second) // six of each second
		id := w.place(t, []string{ann, bob}[i%2], when)
		version := int64(0)
		if i%3 == 0 {
			w.do(t, id, pack)
			version = 1
		}
		keys = append(keys, w.listed(t, id, version).Key())
	}
	slices.SortFunc(keys, func(a, b listing.Key) int {
		if a.PlacedAt != b.PlacedAt {
			return int(b.PlacedAt - a.PlacedAt)
		}
		if a.ID < b.ID {
			return 1
		}
		return -1
	})
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = key.ID
	}
	return ids
}

func idsOf(rows []listing.Listed) []string {
	list := make([]string, len(rows))
	for i, row := range rows {
		list[i] = row.ID
	}
	return list
}

func TestPagesShowEveryOrderOnceNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		run(t, w.list)
		want := w.fill(t)
		for _, size := range []int{1, 4, 6, 7, 20, 100} {
			var got []string
			var before *listing.Key
			for {
				page := w.find(t, listing.Query{Limit: size, Before: before})
				if len(page) == 0 {
					break
				}
				got = append(got, idsOf(page)...)
				last := page[len(page)-1].Key()
				before = &last
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("in pages of %d: %s", size, diff)
			}
		}
	})
}

func TestFiltersSelectWhatTheySay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		run(t, w.list)
		all := w.find(t, listing.Query{})
		if len(all) != 0 || all == nil {
			t.Errorf("an empty list is %v", all)
		}
		w.fill(t)
		all = w.find(t, listing.Query{})
		for _, q := range []listing.Query{
			{CustomerID: ann},
			{CustomerID: uuid.NewString()},
			{Status: "packed"},
			{Status: "cancelled"},
			{CustomerID: bob, Status: "placed"},
		} {
			t.Run(fmt.Sprintf("%+v", q), func(t *testing.T) {
				want := []string{}
				for _, row := range all {
					if (q.CustomerID == "" || row.Order.CustomerID == q.CustomerID) && (q.Status == "" || row.Order.Status == domain.Status(q.Status)) {
						want = append(want, row.ID)
					}
				}
				if diff := cmp.Diff(want, idsOf(w.find(t, q))); diff != "" {
					t.Error(diff)
				}
				if len(want) > 0 { // and the page behind the first order
					first := all[slices.IndexFunc(all, func(l listing.Listed) bool { return l.ID == want[0] })].Key()
					q.Before, q.Limit = &first, 3
					if diff := cmp.Diff(want[1:min(4, len(want))], idsOf(w.find(t, q))); diff != "" {
						t.Errorf("behind the first: %s", diff)
					}
				}
			})
		}
	})
}

func TestRowsCanBeGoneThroughByID(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		run(t, w.list)
		want := w.fill(t)
		slices.Sort(want)
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			rows, err := w.list.Select(t.Context(), service.LedgerQuery{Subject: after, Limit: 6})
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 {
				break
			}
			got = append(got, idsOf(rows)...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestARowThatWasWrittenLongAgoIsRead holds the form of the column state: the
// rows of a running system are full of it.
func TestARowThatWasWrittenLongAgoIsRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const id = "01928f40-0a1b-7c2d-8e3f-405162738495"
		sqldbtest.Exec(t, w.db, `INSERT INTO order_list (order_id, customer_id, status, placed_at, version, state, written_at)
			VALUES ($1, $2, 'cancelled', 1773500966535897, 3, $3, 1773500966535898)`, id, ann,
			`{"status":"cancelled","customerId":"`+ann+`",
			"lines":[{"sku":"mug","name":"Mug","quantity":2,"unitPrice":{"amount":125,"currency":"EUR"}}],"total":{"amount":250,"currency":"EUR"},
			"placedAt":"2026-03-14T15:09:26.535897932Z","packedAt":"2026-03-14T15:10:26Z","cancelledAt":"2026-03-14T15:11:26Z","cancelReason":"broken"}`)
		row, found, err := w.list.Row(t.Context(), id)
		if err != nil || !found {
			t.Fatalf("found %t, %v", found, err)
		}
		want := listing.Listed{
			ID: id, Version: 3,
			Order: domain.Order{
				Status: domain.StatusCancelled, CustomerID: ann,
				Lines: []domain.Line{{SKU: "mug", Name: "Mug", Quantity: 2, UnitPrice: domain.Money{Amount: 125, Currency: "EUR"}}},
				Total: domain.Money{Amount: 250, Currency: "EUR"}, PlacedAt: at,
				PackedAt: time.Date(2026, 3, 14, 15, 10, 26, 0, time.UTC), CancelledAt: time.Date(2026, 3, 14, 15, 11, 26, 0, time.UTC),
				CancelReason: "broken",
			},
			WrittenAt: time.Date(2026, 3, 14, 15, 9, 26, 535898000, time.UTC),
			By:        listing.Selected{CustomerID: ann, Status: string(domain.StatusCancelled), PlacedAt: 1773500966535897},
		}
		if diff := cmp.Diff(want, row); diff != "" {
			t.Error(diff)
		}
	})
}
