package figures

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// known is an order as the model of the test knows it.
type known struct {
	placed, packed, dispatched, cancelled time.Time
	late                                  map[string]bool // by stage
	returned                              bool
	total                                 Money
}

// TestAnyOrderOfDeliveryWithAnyDuplicatesGivesTheSameFigures delivers what
// happened to a few orders in any order, in batches of any size, with events
// that come again, also when the inbox has forgotten that it handled them, and
// with totals that are added up in between. It compares the figures with ones
// counted by hand, and the rows with those of a delivery in order.
func TestAnyOrderOfDeliveryWithAnyDuplicatesGivesTheSameFigures(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		rapid.Check(t, func(r *rapid.T) {
			orders, events := drawOrders(r)
			w.empty(t)
			w.deliver(t, events...)
			wantRows := w.rows(t)

			again := rapid.SliceOfN(rapid.SampledFrom(events), 0, 8).Draw(r, "again")
			shuffled := rapid.Permutation(append(events, again...)).Draw(r, "order")
			w.empty(t)
			for len(shuffled) > 0 {
				n := rapid.IntRange(1, len(shuffled)).Draw(r, "batch")
				w.deliver(t, shuffled[:n]...)
				shuffled = shuffled[n:]
				if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
					sqldbtest.Exec(t, db, `DELETE FROM inbox`)
				}
				if rapid.Bool().Draw(r, "add up") {
					w.addUp(t)
				}
			}
			if diff := cmp.Diff(wantRows, w.rows(t)); diff != "" {
				r.Errorf("rows: %s", diff)
			}
			if diff := cmp.Diff(countByHand(orders), w.summary(t)); diff != "" {
				r.Errorf("summary: %s", diff)
			}
			days, err := w.store.PerDay(context.Background(), noon.AddDate(0, 0, -3), noon.AddDate(0, 0, 3))
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(daysByHand(orders), days, cmpopts.IgnoreUnexported(Day{})); diff != "" {
				r.Errorf("days: %s", diff)
			}
		})
	})
}

func drawOrders(r *rapid.T) ([]known, []eventbus.Event) {
	orders := make([]known, rapid.IntRange(1, 4).Draw(r, "orders"))
	events := []eventbus.Event{
		event(customerCreated, orderID(90), 0, noon, map[string]any{}), event(customerDeactivated, orderID(90), 2, noon, map[string]any{}),
		event(customerForgotten, orderID(90), 3, noon, map[string]any{}),
		event(priceChanged, "tea", 1, noon, map[string]any{"newPrice": Money{500, "EUR"}}),
		event(priceChanged, "tea", 2, noon, map[string]any{"newPrice": Money{600, "EUR"}}),
	}
	moment := rapid.Custom(func(r *rapid.T) time.Time {
		return noon.Add(time.Duration(rapid.Int64Range(-200_000_000, 200_000_000).Draw(r, "millis")) * time.Millisecond)
	})
	for i := range orders {
		o := &orders[i]
		if rapid.IntRange(0, 5).Draw(r, "placed") > 0 {
			o.placed = moment.Draw(r, "placed at")
			o.total = Money{rapid.Int64Range(0, 10_000).Draw(r, "amount"), rapid.SampledFrom([]string{"EUR", "JPY"}).Draw(r, "currency")}
			versions := rapid.SampledFrom([][]func(int, time.Time, int64, string) eventbus.Event{
				{placedAt}, {placedV1At}, {placedV1At, placedAt},
			}).Draw(r, "versions")
			for _, version := range versions {
				events = append(events, version(i, o.placed, o.total.Amount, o.total.Currency))
			}
		}
		if rapid.Bool().Draw(r, "packed") {
			o.packed = moment.Draw(r, "packed at")
			events = append(events, packedAt(i, o.packed))
		}
		if rapid.Bool().Draw(r, "dispatched") {
			o.dispatched = moment.Draw(r, "dispatched at")
			events = append(events, dispatchedAt(i, o.dispatched))
		}
		if rapid.Bool().Draw(r, "cancelled") {
			o.cancelled = moment.Draw(r, "cancelled at")
			events = append(events, cancelledAt(i, o.cancelled))
		}
		o.late = map[string]bool{}
		for _, stage := range []string{"packing", "dispatch"} {
			if o.late[stage] = rapid.Bool().Draw(r, "late"); o.late[stage] {
				events = append(events, delayedAt(i, stage, moment.Draw(r, "late at")))
			}
		}
		if o.returned = rapid.Bool().Draw(r, "returned"); o.returned {
			events = append(events, returnedAt(i, moment.Draw(r, "returned at")))
		}
	}
	return orders, events
}

func countByHand(orders []known) Summary {
	s := Summary{Revenue: []Money{}}
	var packing, dispatching []int64
	for _, o := range orders {
		if o.placed.IsZero() {
			continue
		}
		switch {
		case !o.dispatched.IsZero():
			s.OrdersByStatus.Dispatched++
		case !o.cancelled.IsZero():
			s.OrdersByStatus.Cancelled++
		case !o.packed.IsZero():
			s.OrdersByStatus.Packed++
		default:
			s.OrdersByStatus.Placed++
		}
		if o.earns() {
			s.Revenue = earn(s.Revenue, o.total)
		}
		if o.late["packing"] {
			s.Delayed.Packing++
		}
		if o.late["dispatch"] {
			s.Delayed.Dispatch++
		}
		if o.returned && o.dispatched.IsZero() { // otherwise the parcel is gone
			s.Returned++
		}
		if !o.packed.IsZero() {
			packing = append(packing, max(0, o.packed.Sub(o.placed).Milliseconds()))
		}
		if !o.dispatched.IsZero() {
			dispatching = append(dispatching, max(0, o.dispatched.Sub(o.placed).Milliseconds()))
		}
	}
	s.TimeToPack, s.TimeToDispatch = nearestRank(packing), nearestRank(dispatching)
	return s
}

// earns reports whether the order's amount is revenue.
func (o known) earns() bool { return o.cancelled.IsZero() || !o.dispatched.IsZero() }

func daysByHand(orders []known) []Day {
	days := make([]Day, 7)
	for i := range days {
		days[i] = Day{Day: noon.AddDate(0, 0, i-3).Format(time.DateOnly), Revenue: []Money{}}
		for _, o := range orders {
			if !o.placed.IsZero() && o.placed.Format(time.DateOnly) == days[i].Day {
				days[i].Orders++
				if o.earns() {
					days[i].Revenue = earn(days[i].Revenue, o.total)
				}
			}
		}
	}
	return days
}

func earn(revenue []Money, total Money) []Money {
	for i := range revenue {
		if revenue[i].Currency == total.Currency {
			revenue[i].Amount += total.Amount
			return revenue
		}
	}
	revenue = append(revenue, total)
	slices.SortFunc(revenue, func(a, b Money) int {
		if a.Currency < b.Currency {
			return -1
		}
		return 1
	})
	return revenue
}

// nearestRank is the definition: the smallest value that at least p in a
// hundred values do not exceed.
func nearestRank(values []int64) Duration {
	at := func(p int) *int64 {
		for _, candidate := range slices.Sorted(slices.Values(values)) {
			below := 0
			for _, v := range values {
				if v <= candidate {
					below++
				}
			}
			if below*100 >= p*len(values) {
				return &candidate
			}
		}
		return nil
	}
	return Duration{at(50), at(95)}
}

func (w *world) empty(t testing.TB) {
	t.Helper()
	for _, table := range []string{"order_fact", "total", "movement", "customer", "price", "inbox", "inbox_held", "inbox_erased"} {
		sqldbtest.Exec(t, w.db, `DELETE FROM `+table)
	}
}

// rows returns every row but for the times of writing, and for how far the
// totals are added up.
func (w *world) rows(t testing.TB) []string {
	t.Helper()
	return slices.Concat(
		w.lines(t, `SELECT order_id || ' ' || CAST(placed_at AS TEXT) || ' ' || CAST(packed_at AS TEXT) || ' ' || CAST(dispatched_at AS TEXT)
			|| ' ' || CAST(packing_delayed_at AS TEXT) || ' ' || CAST(dispatch_delayed_at AS TEXT) || ' ' || CAST(returned_at AS TEXT)
			|| ' ' || CAST(cancelled_at AS TEXT) || ' ' || CAST(amount AS TEXT) || currency || ' ' || CAST(order_sequence AS TEXT)
			|| ' ' || correlation_id FROM order_fact ORDER BY 1`),
		w.lines(t, `SELECT figure || ' ' || CAST(slot AS TEXT) || ' ' || currency || ' ' || CAST(sum(orders) AS TEXT) || ' ' || CAST(sum(amount) AS TEXT)
			FROM (SELECT * FROM total UNION ALL SELECT * FROM movement) AS counted WHERE figure NOT LIKE 'all-%'
			GROUP BY figure, slot, currency HAVING sum(orders) <> 0 OR sum(amount) <> 0 ORDER BY 1`),
		w.lines(t, `SELECT customer_id || ' ' || CAST(created_at AS TEXT) || ' ' || CAST(deactivated_at AS TEXT) || ' ' || CAST(last_sequence AS TEXT) FROM customer`),
		w.lines(t, `SELECT sku || ' ' || CAST(amount AS TEXT) || currency || ' ' || CAST(last_sequence AS TEXT) FROM price`),
		w.lines(t, `SELECT id FROM inbox_held`),
	)
}

// What is not counted converges as well: when customers came and left, and the
// last prices of products.
func TestCustomersAndPricesAreTheSameInAnyOrderOfDelivery(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		rapid.Check(t, func(r *rapid.T) {
			empty := func() {
				for _, table := range []string{"customer", "price", "inbox", "inbox_held"} {
					sqldbtest.Exec(t, db, `DELETE FROM `+table)
				}
			}
			events := []eventbus.Event{
				event(customerCreated, orderID(0), 0, noon, map[string]any{}), event(customerCreated, orderID(1), 0, noon, map[string]any{}),
				event(customerDeactivated, orderID(1), 3, noon.Add(time.Hour), map[string]any{}),
			}
			for sequence := range rapid.Int64Range(0, 4).Draw(r, "prices") {
				events = append(events, event(priceChanged, "tea", sequence+1, noon, map[string]any{"newPrice": Money{100 + sequence, "EUR"}}))
			}
			rows := func() (all []service.LedgerRow) {
				for _, ledger := range w.store.Ledgers() {
					some, err := ledger.Read(t.Context(), service.LedgerQuery{Limit: 100})
					if err != nil {
						r.Fatal(err)
					}
					all = append(all, some...)
				}
				return all
			}
			empty()
			w.deliver(t, events...)
			want := rows()

			again := rapid.SliceOfN(rapid.SampledFrom(events), 0, 6).Draw(r, "again")
			shuffled := rapid.Permutation(append(events, again...)).Draw(r, "order")
			empty()
			for len(shuffled) > 0 {
				n := rapid.IntRange(1, len(shuffled)).Draw(r, "batch")
				w.deliver(t, shuffled[:n]...)
				shuffled = shuffled[n:]
				if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
					sqldbtest.Exec(t, db, `DELETE FROM inbox`)
				}
			}
			if diff := cmp.Diff(want, rows()); diff != "" {
				r.Error(diff)
			}
		})
	})
}
