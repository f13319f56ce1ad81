package copies

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
	Forgotten = "customer.events.forgotten.v1"
)

// Model is the copies as package rebuild makes them anew.
func Model(bus eventbus.Bus, log *slog.Logger, migrate func(context.Context, sqldb.DB) error) rebuild.Model {
	return rebuild.Model{
		Name:    "copies",
		Migrate: migrate,
		Tables:  []rebuild.Table{{Name: "customer_copy", Key: "customer_id"}, {Name: "product_copy", Key: "sku"}},
		Feed: func(db sqldb.DB) rebuild.Feed {
			in := inbox.New(db, "order", log, inbox.Options{Personal: Personal, Forgotten: Forgotten})
			New(db).Register(in)
			return rebuild.FromBus(rebuild.BusFeed{Bus: bus, Consumer: "order", Inbox: in, DB: db})
		},
	}
}
