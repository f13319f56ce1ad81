package packing

import (
	"context"

	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/replay"
	"orderflow/pkg/service"
	"orderflow/services/packing/internal/jobs"
)

// Run is the packing service, from its settings to its end: it returns nil when
// ctx ends, and an error only when the service can never work as it is set up.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("packing", "127.0.0.1:8083", host)
	if err != nil {
		return err
	}
	db, bus := svc.Database(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	out := svc.Outbox(db, bus)
	in := inbox.New(db, "packing", svc.Log, inbox.Options{})
	store := jobs.New(db, out)
	store.Listen(in)

	svc.Migrate(db, jobs.Migrations(), inbox.Migrate, outbox.Migrate, replay.Migrate)
	svc.Publish(out)
	svc.ReplayHistory(db, bus, out.History())
	svc.RefuseRebuild("packing has no read model: a job holds what a packer decided, which is state, and no event tells it to packing")
	shown := svc.Consume(bus, in)

	jobs.Serve(svc, store, shown)
	svc.ServeTrace(service.TraceInbox(in), service.TraceOutbox(out), store.Trace)
	svc.ServeLedger(store.Ledger())
	svc.ServeAnnouncements(service.OfOutbox(out))
	svc.ServeDeadLetters(service.InboxBox{Inbox: in}, service.OutboxBox{Outbox: out})
	return svc.Run(ctx)
}
