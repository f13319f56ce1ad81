package dispatch

import (
	"context"

	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/replay"
	"orderflow/pkg/service"
	"orderflow/services/dispatch/internal/shipments"
)

// Run is the dispatch service, from its settings to its end: it returns nil when
// ctx ends, and an error only when the service can never work as it is set up.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("dispatch", "127.0.0.1:8084", host)
	if err != nil {
		return err
	}
	db, bus := svc.Database(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	out := svc.Outbox(db, bus)
	in := inbox.New(db, "dispatch", svc.Log, inbox.Options{Personal: shipments.Personal, Forgotten: shipments.Forgotten})
	store := shipments.New(db, out)
	store.Listen(in)

	svc.Migrate(db, shipments.Migrations(), inbox.Migrate, outbox.Migrate, replay.Migrate, rebuild.Migrate)
	svc.Publish(out)
	svc.ReplayHistory(db, bus, out.History())
	shown := svc.Consume(bus, in)
	svc.RebuildModel(db, shipments.Model(bus, svc.Log, svc.MigrateBeside(shipments.Migrations(), inbox.Migrate)), "dispatch"+rebuild.QueueSuffix)

	shipments.Serve(svc, store, shown)
	svc.ServeTrace(service.TraceInbox(in), service.TraceOutbox(out), store.Trace)
	svc.ServeLedger(store.Ledgers()...)
	svc.ServeAnnouncements(service.OfOutbox(out))
	svc.ServeDeadLetters(service.InboxBox{Inbox: in}, service.OutboxBox{Outbox: out})
	return svc.Run(ctx)
}
