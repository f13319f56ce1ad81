package figures

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"orderflow/pkg/sqldb"
)

// Day is what was ordered on one UTC day.
type Day struct {
	Day     string  `json:"day" format:"date"`
	Orders  int64   `json:"orders" doc:"placed on that day, cancelled ones included"`
	Revenue []Money `json:"revenue" nullable:"false" doc:"of those that are not cancelled, by currency"`

	// byCurrency counts the orders, and what was earned, in each currency.
	byCurrency map[string]count
}

const dateOnly = time.DateOnly

// PerDay returns every day from the first to the last, both included, each at
// midnight UTC.
func (s *Store) PerDay(ctx context.Context, first, last time.Time) ([]Day, error) {
	from, to := dayOf(first.UnixMicro()), dayOf(last.UnixMicro())
	rows, err := s.db.Query(ctx, `SELECT figure, slot, currency, orders, amount FROM total
			WHERE figure IN ('placed', 'packed', 'dispatched', 'cancelled') AND slot BETWEEN $1 AND $2
		UNION ALL SELECT figure, slot, currency, orders, amount FROM movement
			WHERE figure IN ('placed', 'packed', 'dispatched', 'cancelled') AND slot BETWEEN $1 AND $2`, from, to)
	if err != nil {
		return nil, fmt.Errorf("orders per day: %w", err)
	}
	sums := map[place]count{}
	if err := sum(rows, sums); err != nil {
		return nil, fmt.Errorf("orders per day: %w", err)
	}
	days := make([]Day, to-from+1)
	earned := make([]map[string]count, len(days))
	for i := range days {
		days[i] = Day{Day: sqldb.Time((from + int64(i)) * microsPerDay).Format(dateOnly), byCurrency: map[string]count{}}
		earned[i] = map[string]count{}
	}
	for at, c := range sums {
		day, paid := &days[at.slot-from], earned[at.slot-from]
		day.Orders += c.orders
		if at.figure == cancelledOrders {
			c.amount = 0
		} else {
			paid[at.currency] = paid[at.currency].plus(c)
		}
		day.byCurrency[at.currency] = day.byCurrency[at.currency].plus(c)
	}
	for i := range days {
		days[i].Revenue = revenueOf(earned[i])
	}
	return days, nil
}

// writeCSV writes one line for each day and currency, with the orders in that
// currency, and one for a day without orders, whose currency is empty.
func writeCSV(w io.Writer, days []Day) error {
	table := csv.NewWriter(w)
	if err := table.Write([]string{"day", "orders", "currency", "amount"}); err != nil {
		return err
	}
	for _, day := range days {
		lines := 0
		for _, currency := range slices.Sorted(maps.Keys(day.byCurrency)) {
			c := day.byCurrency[currency]
			if c.orders == 0 {
				continue
			}
			lines++
			err := table.Write([]string{day.Day, strconv.FormatInt(c.orders, 10), currency, strconv.FormatInt(c.amount, 10)})
			if err != nil {
				return err
			}
		}
		if lines == 0 {
			if err := table.Write([]string{day.Day, "0", "", "0"}); err != nil {
				return err
			}
		}
	}
	table.Flush()
	return table.Error()
}
