// Package order takes orders: over HTTP, priced from its own copies of products
// and customers, each kept as a stream of events, and watches them until they are
// delivered or undone.
//
// Settings besides those of every service, as durations such as 90m:
//
//	ORDER_PACK_WITHIN                4h    after placing: then it counts as delayed
//	ORDER_CANCEL_UNPACKED_AFTER      72h   after placing: then it is cancelled
//	ORDER_DISPATCH_WITHIN            24h   after packing: then it counts as delayed
//	ORDER_CANCEL_UNDISPATCHED_AFTER  168h  after packing: then it is cancelled
//	ORDER_DEADLINES_REST             1m    after a start no deadline counts for so long
//
// Metrics besides those of every service: orderflow_fulfilment_overdue and
// orderflow_fulfilment_aside, which should both be 0.
package order

import (
	"context"
	"embed"
	"errors"

	"orderflow/pkg/es"
	"orderflow/pkg/es/snapshot"
	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/relay"
	"orderflow/pkg/replay"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/announce"
	"orderflow/services/order/internal/copies"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/facts"
	"orderflow/services/order/internal/fulfilment"
	"orderflow/services/order/internal/listing"
	"orderflow/services/order/internal/stored"
	"orderflow/services/order/internal/web"
)

//go:embed migrations
var migrations embed.FS

// Run runs the service until ctx ends.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("order", "127.0.0.1:8082", host)
	if err != nil {
		return err
	}
	waits, err := fulfilment.Load(host)
	if err != nil {
		return err
	}
	db, store, bus := svc.Database(), svc.EventStore(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	svc.Migrate(db, migrations, sqldb.MigrateLease, inbox.Migrate, relay.Migrate, snapshot.Migrate, replay.Migrate, rebuild.Migrate)

	orders := es.NewRepository(store, "order", stored.Codec{}, domain.Apply).
		WithSnapshots(es.Snapshots[domain.Order]{Store: snapshot.New(db), Codec: stored.States{}, Log: svc.Log})
	prices := copies.New(db)
	list := listing.New(db, store, svc.Log)
	svc.Loop("order list", list.Run)
	beside := svc.MigrateBeside(migrations, sqldb.MigrateLease, inbox.Migrate)
	svc.RebuildModel(db, rebuild.Join("order",
		listing.Model(store, svc.Log, beside), copies.Model(bus, svc.Log, beside)), "order"+rebuild.QueueSuffix)

	in := inbox.New(db, "order", svc.Log, inbox.Options{
		Personal: copies.Personal, Forgotten: copies.Forgotten,
		Outage: func(err error) bool { return errors.Is(err, es.ErrUnavailable) },
	})
	manager := fulfilment.New(fulfilment.Config{
		DB: db, Store: store, Orders: orders, Settings: waits, Log: svc.Log, Unheard: in.Unsettled,
		Waiting: func(ctx context.Context) (int, error) { return bus.Depth(ctx, "order") },
	})
	svc.Loop("fulfilment", manager.Run)
	svc.Gauge("orderflow_fulfilment_overdue", "Deadlines of orders that have passed and are not dealt with yet.", manager.Overdue)
	svc.Gauge("orderflow_fulfilment_aside", "Orders whose process could not go on and is tried again.", manager.Aside)

	prices.Register(in)
	facts.Register(in, orders)
	manager.Register(in)
	consumed := svc.Consume(bus, in)

	announcer := relay.New(relay.Config{
		Name: "order", Store: store, Prefixes: []string{"order-", fulfilment.Category + "-"}, DB: db, Bus: bus,
		Translate: announce.Translate, Log: svc.Log,
	})
	svc.Relay(announcer)
	svc.ReplayHistory(db, bus, announcer.History())

	api := &web.API{
		Orders: orders, Store: store, Copies: prices, Listing: list, Processes: manager,
		Shown:     web.Shown{Store: store, Listing: list, Consumed: consumed},
		Announced: announcer.Newest,
	}
	api.Register(svc)
	svc.ServeTrace(api.TraceStreams, service.TraceInbox(in), service.TraceRelay(announcer), api.TraceRow, manager.Trace)
	svc.ServeLedger(append(prices.Ledgers(), web.Ledger(list), manager.Ledger())...)
	svc.ServeAnnouncements(service.OfRelay(announcer))
	svc.ServeDeadLetters(service.InboxBox{Inbox: in}, service.RelayBox{Relay: announcer})
	return svc.Run(ctx)
}
