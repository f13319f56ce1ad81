package figures

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestNothingIsNull(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if diff := cmp.Diff(Summary{Revenue: []Money{}}, newWorld(t, db).summary(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOrderThatWasDispatchedAlthoughCancelledIsDispatchedAndCounts(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.deliver(t, placedAt(1, noon, 900, "EUR"), cancelledAt(1, noon.Add(time.Second)))
	if got := w.summary(t); got.OrdersByStatus != (ByStatus{Cancelled: 1}) || len(got.Revenue) != 0 {
		t.Errorf("cancelled: %+v", got)
	}
	w.deliver(t, dispatchedAt(1, noon.Add(1500*time.Millisecond)))
	got := w.summary(t)
	if diff := cmp.Diff(ByStatus{Dispatched: 1}, got.OrdersByStatus); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Money{{900, "EUR"}}, got.Revenue); diff != "" {
		t.Error(diff)
	}
	if got.TimeToDispatch.Median == nil || *got.TimeToDispatch.Median != 1500 || got.TimeToPack.Median != nil {
		t.Errorf("%+v", got)
	}
}

func TestFactThatComesAgainUnderAnotherIDCountsOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.deliver(t, placedAt(1, noon, 900, "EUR"), packedAt(1, noon.Add(time.Minute)))
		want := w.summary(t)
		for _, e := range []eventbus.Event{placedAt(1, noon, 900, "EUR"), packedAt(1, noon.Add(time.Hour))} {
			e.ID += "/again"
			w.deliver(t, e)
			if diff := cmp.Diff(want, w.summary(t)); diff != "" {
				t.Errorf("%s: %s", e.ID, diff)
			}
		}
	})
}

func TestTotalsAreTheSameHoweverManyAddThemUp(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		ctx, cancel := context.WithCancel(context.Background())
		var adders sync.WaitGroup
		for range 3 {
			adders.Go(func() {
				for ctx.Err() == nil {
					if err := w.store.addUp(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 40 {
			w.deliver(t, placedAt(i, noon, 100, "EUR"), packedAt(i, noon.Add(time.Minute)), cancelledAt(i, noon.Add(time.Hour)))
			if got := w.summary(t); got.OrdersByStatus != (ByStatus{Cancelled: int64(i) + 1}) {
				t.Fatalf("after %d orders: %+v", i+1, got.OrdersByStatus)
			}
		}
		cancel()
		adders.Wait()
		w.addUp(t)
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM movement`); n != 0 {
			t.Errorf("%d movements are left", n)
		}
		if got := w.summary(t); got.OrdersByStatus != (ByStatus{Cancelled: 40}) || *got.TimeToPack.P95 != 60_000 {
			t.Errorf("%+v", got)
		}
	})
}

func TestTotalsAreKeptWithoutBeingAsked(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.deliver(t, placedAt(1, noon, 100, "EUR")) // before the loop runs
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.store.KeepTotals(ctx) }()
	added := func() bool { return sqldbtest.Count(t, w.db, `SELECT count(*) FROM movement`) == 0 }
	sqldbtest.Eventually(t, "the first is added", added)
	w.deliver(t, packedAt(1, noon))
	sqldbtest.Eventually(t, "the second is added", added)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEveryDayOfTheRangeIsThere(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		midnight := noon.Truncate(24 * time.Hour)
		w.deliver(t, placedAt(1, midnight, 900, "EUR"), placedAt(2, midnight.Add(-time.Microsecond), 500, "JPY"))
		w.addUp(t)
		w.deliver(t, placedAt(3, noon, 100, "EUR"), placedAt(4, noon, 700, "USD"), placedAt(5, noon, 50, "EUR"), cancelledAt(4, noon), cancelledAt(5, noon),
			placedAt(6, noon.AddDate(0, 0, 2), 1, "EUR"), packedAt(7, noon))
		got, err := w.store.PerDay(t.Context(), noon.AddDate(0, 0, -2), noon.AddDate(0, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		want := []Day{
			{Day: "2025-04-29", Revenue: []Money{}},
			{Day: "2025-04-30", Orders: 1, Revenue: []Money{{500, "JPY"}}},
			{Day: "2025-05-01", Orders: 4, Revenue: []Money{{1000, "EUR"}}},
			{Day: "2025-05-02", Revenue: []Money{}},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Day{})); diff != "" {
			t.Error(diff)
		}
		var table strings.Builder
		if err := writeCSV(&table, got); err != nil {
			t.Fatal(err)
		}
		wantCSV := "day,orders,currency,amount\n2025-04-29,0,,0\n2025-04-30,1,JPY,500\n2025-05-01,3,EUR,1000\n2025-05-01,1,USD,0\n2025-05-02,0,,0\n"
		if diff := cmp.Diff(wantCSV, table.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTimesBefore1970BelongToTheirDay(t *testing.T) {
	for at, want := range map[string]int64{
		"1969-12-31T23:59:59Z": -1, "1969-12-31T00:00:00Z": -1, "1969-12-30T23:59:59Z": -2, "1970-01-01T00:00:00Z": 0, "1970-01-02T00:00:00Z": 1,
	} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := dayOf(moment.UnixMicro()); got != want {
			t.Errorf("%s is on day %d, want %d", at, got, want)
		}
	}
}

func TestEverySampleOfWhatIsReadIsTakenIn(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	orders := map[string]bool{}
	for _, sample := range contractstest.Reads(t, "reporting", w.in.Patterns()) {
		w.deliver(t, sample)
		if sample.Type == orderPlaced || sample.Type == orderPlacedV1 {
			orders[sample.Subject] = true
		}
	}
	if held, parked, err := w.in.Backlog(t.Context()); held+parked != 0 || err != nil {
		t.Errorf("%d held, %d parked, %v", held, parked, err)
	}
	got := w.summary(t)
	if s := got.OrdersByStatus; s.Placed+s.Packed+s.Dispatched+s.Cancelled != int64(len(orders)) || len(got.Revenue) == 0 {
		t.Errorf("%d orders, counted %+v", len(orders), got)
	}
	if prices := w.lines(t, `SELECT sku FROM price WHERE amount >= 0 AND currency <> ''`); len(prices) == 0 {
		t.Error("no price was noted")
	}
}

func TestEventAboutNothingThatCouldBeAnOrderIsLeftToAPerson(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	w.deliver(t, event(orderPacked, "order 7", 1, noon, map[string]any{}))
	if _, parked, err := w.in.Backlog(t.Context()); parked != 1 || err != nil {
		t.Errorf("%d parked, %v", parked, err)
	}
}

func TestLedgerAndTraceTellWhatIsThere(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		w.deliver(t, placedAt(1, noon, 900, "EUR"), cancelledAt(1, noon), packedAt(2, noon),
			event(customerCreated, orderID(0), 0, noon, map[string]any{}), event(priceChanged, "tea", 4, noon, map[string]any{"newPrice": Money{1, "EUR"}}))
		var rows []service.LedgerRow
		for _, ledger := range w.store.Ledgers() {
			some, err := ledger.Read(t.Context(), service.LedgerQuery{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, some...)
		}
		at := noon.UTC().Format("2006-01-02T15:04:05.000000Z")
		want := []service.LedgerRow{
			{Subject: orderID(1), LastSequence: 3, Status: "cancelled", Facts: map[string]string{"total": "900 EUR", "placedAt": at, "cancelledAt": at}},
			{Subject: orderID(2), LastSequence: -1, Facts: map[string]string{"packedAt": at}},
			{Subject: orderID(0), Status: "active"},
			{Subject: "tea", LastSequence: 4, Facts: map[string]string{"price": "1 EUR"}},
		}
		if diff := cmp.Diff(want, rows, cmpopts.IgnoreFields(service.LedgerRow{}, "ChangedAt")); diff != "" {
			t.Error(diff)
		}
		rest, err := w.store.Ledgers()[0].Read(t.Context(), service.LedgerQuery{Subject: orderID(1), Limit: 1})
		if err != nil || len(rest) != 1 || rest[0].Subject != orderID(2) {
			t.Errorf("%v, %v", rest, err)
		}
		for i, want := range map[int]string{1: "cancelled", 2: "packed, not counted: not known to be placed yet"} {
			items, err := w.store.Trace(t.Context(), orderID(i))
			if err != nil || len(items) != 1 || items[0].Kind != "wrote" || items[0].Detail != want {
				t.Errorf("order %d: %+v, %v", i, items, err)
			}
		}
		if items, err := w.store.Trace(t.Context(), orderID(8)); err != nil || len(items) != 0 {
			t.Errorf("no order: %v, %v", items, err)
		}
	})
}
