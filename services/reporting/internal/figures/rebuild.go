package figures

import (
	"context"
	"log/slog"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
)

// Model is everything here as package rebuild makes it anew. The totals are not
// compared: they follow from the rows of orders in the transaction that writes
// these, and are being added up all the time.
func (s *Store) Model(bus eventbus.Bus, log *slog.Logger, migrate func(context.Context, sqldb.DB) error) rebuild.Model {
	return rebuild.Model{
		Name:    "reporting",
		Tables:  []string{"order_fact", "total", "movement", "customer", "price"},
		Migrate: migrate,
		Compare: []rebuild.Rows{
			{Table: "order_fact", Key: "order_id", Columns: []string{
				"placed_at", "packed_at", "dispatched_at", "cancelled_at", "amount", "currency", "order_sequence",
			}},
			{Table: "customer", Key: "customer_id", Columns: []string{"created_at", "deactivated_at", "last_sequence"}},
			{Table: "price", Key: "sku", Columns: []string{"amount", "currency", "changed_at", "last_sequence"}},
		},
		Feed: func(db sqldb.DB) rebuild.Feed {
			beside := New(db)
			in := inbox.New(db, "reporting", log, inbox.Options{Personal: "customer.events.", Forgotten: customerForgotten})
			beside.Listen(in)
			return rebuild.FromBus(bus, "reporting", in, db, beside.KeepTotals)
		},
		Swapped: s.ring,
	}
}
