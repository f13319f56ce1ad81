package figures

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"orderflow/pkg/sqldb"
)

const (
	// gather is how long movements are left to come together.
	gather = 500 * time.Millisecond
	// lookAnyway is how often movements are looked for without a sign: those
	// of a process that ended before it added them up.
	lookAnyway = 10 * time.Second
	// totalsAtOnce keeps statements well below the 32,766 placeholders that
	// SQLite takes.
	totalsAtOnce = 500
)

// KeepTotals adds movements up until ctx ends (nil), or the database does not
// work (an error; call it again). Several processes may do this at the same
// time: each adds what it removed.
func (s *Store) KeepTotals(ctx context.Context) error {
	for {
		if err := s.addUp(ctx); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // asked to stop
			}
			return err
		}
		anyway := time.NewTimer(lookAnyway)
		select {
		case <-ctx.Done():
		case <-s.moved:
		case <-anyway.C:
		}
		anyway.Stop()
		pause := time.NewTimer(gather)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

// addUp turns the movements there are into totals.
func (s *Store) addUp(ctx context.Context) error {
	waiting := 0
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM movement LIMIT 1) AS waiting`).Scan(&waiting); err != nil {
		return fmt.Errorf("look for movements: %w", err)
	}
	if waiting == 0 {
		return nil // without keeping writers waiting
	}
	err := s.db.Update(ctx, func(tx sqldb.Tx) error {
		rows, err := tx.Query(ctx, `DELETE FROM movement RETURNING figure, slot, currency, orders, amount`)
		if err != nil {
			return err
		}
		sums := map[place]count{}
		if err := sum(rows, sums); err != nil {
			return err
		}
		overAllDays(sums)
		return addTotals(ctx, tx, sums)
	})
	if err != nil {
		return fmt.Errorf("add up movements: %w", err)
	}
	return nil
}

// overAllDays adds what the figures by day come to over all of them.
func overAllDays(sums map[place]count) {
	for at, c := range maps.Clone(sums) {
		if isStatus(at.figure) {
			whole := place{all + at.figure, 0, at.currency}
			sums[whole] = sums[whole].plus(c)
		}
	}
}

func isStatus(f figure) bool {
	return f == placedOrders || f == packedOrders || f == dispatchedOrders || f == cancelledOrders
}

// addTotals adds sums to the totals, in one order for all processes: they must
// not wait for each other crosswise.
func addTotals(ctx context.Context, tx sqldb.Tx, sums map[place]count) error {
	var places []place
	for at, c := range sums {
		if c != (count{}) {
			places = append(places, at)
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.figure, b.figure), cmp.Compare(a.slot, b.slot), cmp.Compare(a.currency, b.currency))
	})
	for some := range slices.Chunk(places, totalsAtOnce) {
		args := make([]any, 0, len(some)*5)
		for _, at := range some {
			args = append(args, string(at.figure), at.slot, at.currency, sums[at].orders, sums[at].amount)
		}
		_, err := tx.Exec(ctx, `INSERT INTO total (figure, slot, currency, orders, amount) VALUES `+sqldb.Values(len(some), 5)+`
			ON CONFLICT (figure, slot, currency) DO UPDATE SET
				orders = total.orders + excluded.orders, amount = total.amount + excluded.amount`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// sum adds rows of figure, slot, currency, orders and amount to sums.
func sum(rows sqldb.Rows, sums map[place]count) error {
	_, err := sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
		var at place
		var c count
		err := row.Scan(&at.figure, &at.slot, &at.currency, &c.orders, &c.amount)
		sums[at] = sums[at].plus(c)
		return struct{}{}, err
	})
	return err
}
