package figures

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
)

const (
	// Personal is what the types of events begin with that tell of somebody.
	Personal = "customer.events."
	// Forgotten says that nothing is to be kept of whom it is about.
	Forgotten = customerForgotten
)

// Model is everything here as package rebuild makes it anew. The totals are
// being added up all the time, so they are not compared with each other but, in
// each model, with the orders that they are of.
func (s *Store) Model(bus eventbus.Bus, log *slog.Logger, migrate func(context.Context, sqldb.DB) error) rebuild.Model {
	return rebuild.Model{
		Name:    "reporting",
		Migrate: migrate,
		Tables: []rebuild.Table{
			{Name: "order_fact", Key: "order_id", Except: []string{"correlation_id", "written_at"}},
			{Name: "total"},
			{Name: "movement"},
			{Name: "customer", Key: "customer_id"},
			{Name: "price", Key: "sku"},
		},
		Derived: wrongTotals,
		Feed: func(db sqldb.DB) rebuild.Feed {
			beside := New(db)
			in := inbox.New(db, "reporting", log, inbox.Options{Personal: Personal, Forgotten: Forgotten})
			beside.Listen(in)
			return rebuild.FromBus(rebuild.BusFeed{
				Bus: bus, Consumer: "reporting", Inbox: in, DB: db,
				Also: []func(context.Context) error{beside.KeepTotals},
			})
		},
		Swapped: s.ring,
	}
}

// wrongTotals adds up what the orders count for, and returns the totals, with
// the movements that wait, that are something else.
func wrongTotals(ctx context.Context, q sqldb.Querier) ([]rebuild.Difference, error) {
	should, are := map[place]count{}, map[place]count{}
	rows, err := q.Query(ctx, `SELECT placed_at, packed_at, dispatched_at, cancelled_at, amount, currency,
		packing_delayed_at, dispatch_delayed_at, returned_at FROM order_fact WHERE placed_at > 0`)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	_, err = sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
		var o order
		err := row.Scan(&o.placedAt, &o.packedAt, &o.dispatchedAt, &o.cancelledAt, &o.amount, &o.currency,
			&o.packingDelayedAt, &o.dispatchDelayedAt, &o.returnedAt)
		for at, c := range o.counts() {
			should[at] = should[at].plus(c)
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	if rows, err = q.Query(ctx, `SELECT figure, slot, currency, orders, amount FROM movement`); err == nil {
		err = sum(rows, are)
	}
	if err != nil {
		return nil, fmt.Errorf("movements: %w", err)
	}
	overAllDays(should)
	overAllDays(are)
	if rows, err = q.Query(ctx, `SELECT figure, slot, currency, orders, amount FROM total`); err == nil {
		err = sum(rows, are)
	}
	if err != nil {
		return nil, fmt.Errorf("totals: %w", err)
	}
	return differences(are, should), nil
}

func differences(are, should map[place]count) (wrong []rebuild.Difference) {
	tell := func(at place) {
		if is, want := are[at], should[at]; is != want {
			wrong = append(wrong, rebuild.Difference{
				Table: "total", Key: strings.TrimSpace(fmt.Sprintf("%s %d %s", at.figure, at.slot, at.currency)),
				What: fmt.Sprintf("counts %d orders of %d, and should count %d of %d", is.orders, is.amount, want.orders, want.amount),
			})
		}
	}
	for at := range should {
		tell(at)
	}
	for at := range are {
		if _, told := should[at]; !told {
			tell(at)
		}
	}
	slices.SortFunc(wrong, func(a, b rebuild.Difference) int { return strings.Compare(a.Key, b.Key) })
	return wrong
}
