package crm

import (
	"context"

	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/mailer"
	"orderflow/services/crm/internal/story"
)

// Run is the crm service, from its settings to its end: it returns nil when ctx
// ends, and an error only when the service can never work as it is set up.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("crm", "127.0.0.1:8085", host)
	if err != nil {
		return err
	}
	server, err := mailer.Load(host)
	if err != nil {
		return err
	}
	db, bus := svc.Database(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	store := story.New(db, server.Configured())
	in := inbox.New(db, "crm", svc.Log, inbox.Options{Personal: story.Personal, Forgotten: story.Forgotten})
	store.Listen(in)

	svc.Migrate(db, story.Migrations(), inbox.Migrate, sqldb.MigrateLease, rebuild.Migrate)
	shown := svc.Consume(bus, in)
	svc.RebuildModel(db, story.Model(bus, svc.Log, svc.MigrateBeside(story.Migrations(), inbox.Migrate)), "crm"+rebuild.QueueSuffix)
	if server.Configured() {
		sender := mailer.New(db, store, server, svc.Log, mailer.Options{})
		svc.Loop("mailer", sender.Run)
		svc.Check("mail server (SMTP_URL)", func(context.Context) error { return sender.Ready() })
		svc.Count("orderflow_mails_sent_total", "Mails that the mail server took.", func() int64 { return sender.Stats().Sent })
		svc.Count("orderflow_mails_failed_total", "Mails given up.", func() int64 { return sender.Stats().Failed })
	}

	story.Serve(svc, store, shown)
	svc.ServeTrace(service.TraceInbox(in), store.Trace)
	svc.ServeLedger(store.Ledgers()...)
	svc.ServeDeadLetters(service.InboxBox{Inbox: in})
	return svc.Run(ctx)
}
