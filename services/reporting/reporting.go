package reporting

import (
	"context"

	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/service"
	"orderflow/services/reporting/internal/figures"
)

// Run is the reporting service, from its settings to its end: it returns nil
// when ctx ends, and an error only when the service can never work as it is set
// up.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("reporting", "127.0.0.1:8086", host)
	if err != nil {
		return err
	}
	db, bus := svc.Database(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	store := figures.New(db)
	in := inbox.New(db, "reporting", svc.Log, inbox.Options{Personal: figures.Personal, Forgotten: figures.Forgotten})
	store.Listen(in)
	live := figures.NewLive(store)

	svc.Migrate(db, figures.Migrations(), inbox.Migrate, rebuild.Migrate)
	shown := svc.Consume(bus, in)
	svc.Loop("totals", store.KeepTotals)
	svc.Loop("live figures", live.Run)
	svc.RebuildModel(db, store.Model(bus, svc.Log, svc.MigrateBeside(figures.Migrations(), inbox.Migrate)), "reporting"+rebuild.QueueSuffix)

	figures.Serve(svc, store, shown)
	svc.Router.Get("/live", live.ServeHTTP)
	svc.ServeTrace(service.TraceInbox(in), store.Trace)
	svc.ServeLedger(store.Ledgers()...)
	svc.ServeDeadLetters(service.InboxBox{Inbox: in})
	return svc.Run(ctx)
}
