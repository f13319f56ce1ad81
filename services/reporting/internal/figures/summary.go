package figures

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"orderflow/pkg/sqldb"
)

// Summary is the state of all orders at one moment.
type Summary struct {
	OrdersByStatus ByStatus `json:"ordersByStatus"`
	Revenue        []Money  `json:"revenue" nullable:"false" doc:"of every order that is not cancelled, by currency"`
	TimeToPack     Duration `json:"timeToPack" doc:"from being placed to being packed"`
	TimeToDispatch Duration `json:"timeToDispatch" doc:"from being placed to being dispatched"`
	Delayed        Delayed  `json:"delayed" doc:"orders that were late, whatever has become of them"`
	Returned       int64    `json:"returned" doc:"cancelled orders whose goods were packed and are back in the shelf"`
}

// ByStatus counts orders by what they have come to.
type ByStatus struct {
	Placed     int64 `json:"placed"`
	Packed     int64 `json:"packed"`
	Dispatched int64 `json:"dispatched"`
	Cancelled  int64 `json:"cancelled"`
}

// Delayed counts orders by what was not done in time.
type Delayed struct {
	Packing  int64 `json:"packing"`
	Dispatch int64 `json:"dispatch"`
}

// Duration tells how long something took, in milliseconds, by nearest rank; nil
// while it has not happened yet.
type Duration struct {
	Median *int64 `json:"medianMs"`
	P95    *int64 `json:"p95Ms"`
}

// Summary returns the figures of this moment.
func (s *Store) Summary(ctx context.Context) (Summary, error) {
	summary := Summary{Revenue: []Money{}}
	err := s.db.View(ctx, func(tx sqldb.Tx) error {
		sums := map[place]count{}
		rows, err := tx.Query(ctx, `SELECT figure, slot, currency, orders, amount FROM total
			WHERE figure IN ('all-placed', 'all-packed', 'all-dispatched', 'all-cancelled', 'to-pack', 'to-dispatch',
				'packing-delayed', 'dispatch-delayed', 'returned')
			UNION ALL SELECT CASE WHEN figure IN ('placed', 'packed', 'dispatched', 'cancelled') THEN 'all-' || figure ELSE figure END,
				slot, currency, orders, amount FROM movement`)
		if err != nil {
			return err
		}
		if err := sum(rows, sums); err != nil {
			return err
		}
		summary.OrdersByStatus, summary.Revenue = ordersOf(sums)
		summary.Delayed = Delayed{sums[place{packingDelayed, 0, ""}].orders, sums[place{dispatchDelayed, 0, ""}].orders}
		summary.Returned = sums[place{returned, 0, ""}].orders
		if summary.TimeToPack, err = durationOf(ctx, tx, sums, toPack, "to_pack"); err != nil {
			return err
		}
		summary.TimeToDispatch, err = durationOf(ctx, tx, sums, toDispatch, "to_dispatch")
		return err
	})
	if err != nil {
		return summary, fmt.Errorf("summary: %w", err)
	}
	return summary, nil
}

func ordersOf(sums map[place]count) (ByStatus, []Money) {
	var byStatus ByStatus
	earned := map[string]count{}
	for at, c := range sums {
		switch at.figure {
		case all + placedOrders:
			byStatus.Placed += c.orders
		case all + packedOrders:
			byStatus.Packed += c.orders
		case all + dispatchedOrders:
			byStatus.Dispatched += c.orders
		case all + cancelledOrders:
			byStatus.Cancelled += c.orders
			continue
		default:
			continue
		}
		earned[at.currency] = earned[at.currency].plus(c)
	}
	return byStatus, revenueOf(earned)
}

// revenueOf lists what was earned, by currency; currencies without an order that
// counts are left out.
func revenueOf(earned map[string]count) []Money {
	revenue := []Money{}
	for _, currency := range slices.Sorted(maps.Keys(earned)) {
		if earned[currency].orders != 0 {
			revenue = append(revenue, Money{Amount: earned[currency].amount, Currency: currency})
		}
	}
	return revenue
}

// class is how many durations are in a class.
type class struct{ number, orders int64 }

func durationOf(ctx context.Context, tx sqldb.Tx, sums map[place]count, f figure, column string) (Duration, error) {
	counts := map[int64]int64{}
	for at, c := range sums {
		if at.figure == f {
			counts[at.slot] += c.orders
		}
	}
	var classes []class
	total := int64(0)
	for number, orders := range counts {
		classes, total = append(classes, class{number, orders}), total+orders
	}
	if total == 0 {
		return Duration{}, nil
	}
	slices.SortFunc(classes, func(a, b class) int { return cmp.Compare(a.number, b.number) })
	median, err := percentile(ctx, tx, column, classes, total, 50)
	if err != nil {
		return Duration{}, err
	}
	p95, err := percentile(ctx, tx, column, classes, total, 95)
	if err != nil {
		return Duration{}, err
	}
	return Duration{Median: &median, P95: &p95}, nil
}

// percentile finds the duration of rank ceil(p*total/100), counted from 1.
// column is ours, never a client's.
func percentile(ctx context.Context, tx sqldb.Tx, column string, classes []class, total, p int64) (int64, error) {
	rank := (p*total + 99) / 100
	for _, c := range classes {
		if rank > c.orders {
			rank -= c.orders
			continue
		}
		from, to := boundsOf(c.number)
		if to == from+1 {
			return from, nil
		}
		var millis int64
		err := tx.QueryRow(ctx, `SELECT `+column+` FROM order_fact WHERE `+column+` >= $1 AND `+column+` < $2
			ORDER BY `+column+` LIMIT 1 OFFSET $3`, from, to, rank-1).Scan(&millis)
		if err != nil {
			return 0, fmt.Errorf("%s, rank %d from %d: %w", column, rank, from, err)
		}
		return millis, nil
	}
	return 0, fmt.Errorf("%s: rank %d is above all of %d", column, rank, total)
}
