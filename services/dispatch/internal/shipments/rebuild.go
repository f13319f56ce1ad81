package shipments

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

// Model is what package rebuild makes anew: the copies of customers. Shipments
// hold what a person decided, which is state: no event tells it to dispatch.
func Model(bus eventbus.Bus, log *slog.Logger, migrate func(context.Context, sqldb.DB) error) rebuild.Model {
	return rebuild.Model{
		Name:    "dispatch",
		Migrate: migrate,
		Tables: []rebuild.Table{
			{Name: "customer", Key: "customer_id", Except: []string{"changed_at"}, Personal: []string{"name", "address"}},
		},
		Feed: func(db sqldb.DB) rebuild.Feed {
			in := inbox.New(db, "dispatch", log, inbox.Options{Personal: Personal, Forgotten: Forgotten})
			listenCustomers(in)
			return rebuild.FromBus(rebuild.BusFeed{Bus: bus, Consumer: "dispatch", Inbox: in, DB: db})
		},
	}
}
