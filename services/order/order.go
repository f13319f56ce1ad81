// Package order takes orders: over HTTP, priced from its own copies of products
// and customers, each kept as a stream of events.
package order

import (
	"context"
	"embed"
	"errors"

	"orderflow/pkg/es"
	"orderflow/pkg/inbox"
	"orderflow/pkg/relay"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/announce"
	"orderflow/services/order/internal/copies"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/facts"
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
	db, store, bus := svc.Database(), svc.EventStore(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	svc.Migrate(db, migrations, sqldb.MigrateLease, inbox.Migrate, relay.Migrate)

	orders := es.NewRepository(store, "order", stored.Codec{}, domain.Apply)
	prices := copies.New(db)
	list := listing.New(db, store, svc.Log)
	svc.Loop("order list", list.Run)

	in := inbox.New(db, "order", svc.Log, inbox.Options{
		Outage: func(err error) bool { return errors.Is(err, es.ErrUnavailable) },
	})
	prices.Register(in)
	facts.Register(in, orders)
	svc.Consume(bus, in)

	announcer := relay.New(relay.Config{
		Name: "order", Store: store, Prefixes: []string{"order-"}, DB: db, Bus: bus, Translate: announce.Translate, Log: svc.Log,
	})
	svc.Relay(announcer)

	api := &web.API{Orders: orders, Store: store, Copies: prices, Listing: list}
	api.Register(svc)
	svc.ServeTrace(api.TraceStream, service.TraceInbox(in), service.TraceRelay(announcer), api.TraceRow)
	svc.ServeLedger(web.Ledger(list))
	svc.ServeDeadLetters(service.InboxBox{Inbox: in}, service.RelayBox{Relay: announcer})
	return svc.Run(ctx)
}
