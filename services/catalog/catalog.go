package catalog

import (
	"context"

	"orderflow/pkg/outbox"
	"orderflow/pkg/replay"
	"orderflow/pkg/service"
	"orderflow/services/catalog/internal/products"
)

// Run is the catalog service, from its settings to its end: it returns nil when
// ctx ends, and an error only when the service can never work as it is set up.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("catalog", "127.0.0.1:8087", host)
	if err != nil {
		return err
	}
	db, bus := svc.Database(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	out := svc.Outbox(db, bus)
	store := products.New(db, out)

	svc.Migrate(db, products.Migrations(), outbox.Migrate, replay.Migrate)
	svc.Publish(out)
	svc.ReplayHistory(db, bus, out.History())

	products.Serve(svc, store)
	svc.ServeTrace() // orders leave no trace here
	svc.ServeLedger(store.Ledger())
	svc.ServeAnnouncements(service.OfOutbox(out))
	svc.ServeDeadLetters(service.OutboxBox{Outbox: out})
	return svc.Run(ctx)
}
