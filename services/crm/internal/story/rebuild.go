package story

import (
	"context"
	"log/slog"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
)

// Model is what package rebuild makes anew: customers and their orders. The
// mails are not part of it: whether one was sent is known nowhere else. What the
// handlers write of them in the new place is neither sent nor kept.
func Model(bus eventbus.Bus, log *slog.Logger, migrate func(context.Context, sqldb.DB) error) rebuild.Model {
	return rebuild.Model{
		Name:    "crm",
		Tables:  []string{"customer", "customer_order"},
		Migrate: migrate,
		Compare: []rebuild.Rows{
			{Table: "customer", Key: "customer_id", Columns: []string{
				"registered_at", "name", "email", "contact_sequence", "address", "address_sequence", "deactivated_at", "deactivation_reason", "last_sequence",
				"forgotten_at",
			}, Personal: []string{"name", "email", "address", "deactivation_reason"}},
			{Table: "customer_order", Key: "order_id", Columns: []string{
				"customer_id", "placed_at", "total_amount", "total_currency", "lines", "packed_at", "dispatched_at", "carrier", "tracking_number",
				"cancelled_at", "cancelled_by", "cancel_reason", "order_sequence",
			}},
		},
		Feed: func(db sqldb.DB) rebuild.Feed {
			in := inbox.New(db, "crm", log, inbox.Options{Personal: "customer.events.", Forgotten: customerForgotten})
			New(db, false).Listen(in)
			return rebuild.FromBus(bus, "crm", in, db)
		},
	}
}
