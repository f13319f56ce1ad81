package story

import (
	"context"
	"log/slog"

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

// Model is what package rebuild makes anew: customers and their orders. The
// mails are not part of it: whether one was sent is known nowhere else. What the
// handlers write of them in the new place is neither sent nor kept.
func Model(bus eventbus.Bus, log *slog.Logger, migrate func(context.Context, sqldb.DB) error) rebuild.Model {
	return rebuild.Model{
		Name:    "crm",
		Migrate: migrate,
		Tables: []rebuild.Table{
			{
				Name: "customer", Key: "customer_id", Except: []string{"written_at"},
				Personal: []string{"name", "email", "address", "deactivation_reason"},
			},
			{Name: "customer_order", Key: "order_id", Except: []string{"correlation_id", "written_at"}},
		},
		Feed: func(db sqldb.DB) rebuild.Feed {
			in := inbox.New(db, "crm", log, inbox.Options{Personal: Personal, Forgotten: Forgotten})
			New(db, false).Listen(in)
			return rebuild.FromBus(rebuild.BusFeed{Bus: bus, Consumer: "crm", Inbox: in, DB: db})
		},
	}
}
