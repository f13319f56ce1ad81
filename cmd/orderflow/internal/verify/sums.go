package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/pkg/service"
)

// between is where a sum must lie: the two ends are the same where nothing that
// counts for it is younger than the lag.
type between struct{ least, most int64 }

func (b between) String() string {
	if b.least == b.most {
		return fmt.Sprint(b.least)
	}
	return fmt.Sprintf("from %d to %d", b.least, b.most)
}

// Figures that count orders by what once happened to them.
const (
	wasLateInPacking  = "orders that packing was late with"
	wasLateInDispatch = "orders that dispatch was late with"
	wasReturned       = "orders that were returned"
)

// figure is a sum that reporting shows: what, and where.
type figure struct{ what, where string }

// shownFigures are the sums of one moment.
type shownFigures struct {
	at     time.Time
	values map[figure]int64
}

// addUp compares the sums of reporting with those of the orders. It looks again,
// after the lag, when they differ: facts may have been on their way.
func (v *Verifier) addUp(ctx context.Context) error {
	for look := 0; ; look++ {
		shown, err := v.shownFigures(ctx)
		if err != nil {
			return err
		}
		if look > 0 { // what reporting had heard of is on the streams by then
			if err := sleep(ctx, v.Lag); err != nil {
				return err
			}
		}
		if err := v.read(ctx); err != nil {
			return err
		}
		should, err := v.sums(ctx, shown.at.Add(-v.Lag))
		if err != nil {
			return err
		}
		differences := sumDifferences(should, shown.values)
		if len(differences) == 0 {
			return nil
		}
		if look > 0 {
			v.found = append(v.found, differences...)
			return nil
		}
		v.Tell("looking again at sums that differ, in " + v.Lag.String())
		if err := sleep(ctx, v.Lag); err != nil {
			return err
		}
	}
}

func sumDifferences(should map[figure]between, shown map[figure]int64) []Difference {
	var differences []Difference
	figures := maps.Clone(shown)
	for f := range should {
		figures[f] += 0
	}
	for f := range figures {
		if is, want := shown[f], should[f]; is < want.least || is > want.most {
			differences = append(differences, Difference{
				Service: "reporting", Problem: Different, Kind: "sum", Subject: f.where, Field: f.what, Is: fmt.Sprint(is), Should: want.String(),
			})
		}
	}
	slices.SortFunc(differences, func(a, b Difference) int { return strings.Compare(a.Subject+a.Field, b.Subject+b.Field) })
	return differences
}

// shownFigures asks reporting: the summary, and every day from that of the first
// order on.
func (v *Verifier) shownFigures(ctx context.Context) (shownFigures, error) {
	shown := shownFigures{at: time.Now(), values: map[figure]int64{}}
	var summary client.Summary
	err := v.ask(ctx, "reporting", func(ctx context.Context) (err error) {
		summary, err = v.Client.Summary(ctx)
		return err
	})
	if err != nil {
		return shown, err
	}
	for status, orders := range summary.OrdersByStatus {
		shown.values[figure{"orders that are " + status, "summary"}] = int64(orders)
	}
	shown.values[figure{wasLateInPacking, "summary"}] = int64(summary.Delayed.Packing)
	shown.values[figure{wasLateInDispatch, "summary"}] = int64(summary.Delayed.Dispatch)
	shown.values[figure{wasReturned, "summary"}] = int64(summary.Returned)
	for _, money := range summary.Revenue {
		shown.values[figure{"revenue in " + money.Currency, "summary"}] = money.Amount
	}
	const perRequest = 366
	first, err := v.firstDay(ctx)
	if err != nil {
		return shown, err
	}
	for today := shown.at.UTC(); !first.After(today); first = first.AddDate(0, 0, perRequest) {
		last := first.AddDate(0, 0, perRequest-1)
		if last.After(today) {
			last = today
		}
		var days []client.Day
		err := v.ask(ctx, "reporting", func(ctx context.Context) (err error) {
			days, err = v.Client.OrdersPerDay(ctx, first, last)
			return err
		})
		if err != nil {
			return shown, err
		}
		for _, day := range days {
			shown.addDay(day)
		}
	}
	return shown, nil
}

func (s shownFigures) addDay(day client.Day) {
	s.values[figure{"orders", day.Day}] = day.Orders
	for _, money := range day.Revenue {
		s.values[figure{"revenue in " + money.Currency, day.Day}] = money.Amount
	}
}

// firstDay is the day of the first order, or today.
func (v *Verifier) firstDay(ctx context.Context) (time.Time, error) {
	first := time.Now().UnixMicro()
	err := v.book.each(ctx, service.LedgerOrder, func(orders []truth) error {
		for _, order := range orders {
			if at := order.Facts[placed].At; at != 0 {
				first = min(first, at)
			}
		}
		return nil
	})
	return time.UnixMicro(first).UTC().Truncate(24 * time.Hour), err
}

// sums adds up the orders of the book. What was committed before settled counts.
func (v *Verifier) sums(ctx context.Context, settled time.Time) (map[figure]between, error) {
	sums := map[figure]between{}
	err := v.book.each(ctx, service.LedgerOrder, func(orders []truth) error {
		for _, order := range orders {
			order.countInto(sums, settled.UnixMicro())
		}
		return nil
	})
	return sums, err
}

// countInto adds what an order may count for: with every choice of its facts
// that has all of those committed before settled.
func (t truth) countInto(sums map[figure]between, settled int64) {
	if !t.has(placed) {
		return
	}
	var young []int
	for which, fact := range t.Facts {
		if fact.At != 0 && fact.Committed >= settled {
			young = append(young, which)
		}
	}
	var ends map[figure]between
	for choice := range 1 << len(young) {
		counts := t.counts(func(which int) bool {
			at := slices.Index(young, which)
			return t.has(which) && (at < 0 || choice&(1<<at) != 0)
		})
		if ends == nil {
			ends = map[figure]between{}
			for f, n := range counts {
				ends[f] = between{n, n}
			}
			continue
		}
		for f := range counts { // what was not counted for so far counted 0
			ends[f] = between{min(ends[f].least, counts[f]), max(ends[f].most, counts[f])}
		}
		for f, end := range ends { // and what is not counted for now counts 0
			ends[f] = between{min(end.least, counts[f]), max(end.most, counts[f])}
		}
	}
	for f, end := range ends {
		sums[f] = between{sums[f].least + end.least, sums[f].most + end.most}
	}
}

// counts is what an order counts for when these facts are known of it.
func (t truth) counts(has func(int) bool) map[figure]int64 {
	if !has(placed) {
		return nil // it is not counted yet
	}
	status, day := statusOf(has), time.UnixMicro(t.Facts[placed].At).UTC().Format(time.DateOnly)
	counts := map[figure]int64{{"orders that are " + status, "summary"}: 1, {"orders", day}: 1}
	if status != "cancelled" {
		counts[figure{"revenue in " + t.Currency, "summary"}] = t.Amount
		counts[figure{"revenue in " + t.Currency, day}] = t.Amount
	}
	for which, what := range map[int]string{packingDelayed: wasLateInPacking, dispatchDelayed: wasLateInDispatch, returned: wasReturned} {
		if has(which) && (which != returned || !has(dispatched)) {
			counts[figure{what, "summary"}] = 1
		}
	}
	return counts
}
