// Package customer registers customers and keeps what is known of them: over
// HTTP, each as a stream of events whose personal fields are encrypted with a key
// of their own, until they are forgotten and the key is destroyed.
package customer

import (
	"context"
	"embed"
	"errors"

	"orderflow/pkg/es"
	"orderflow/pkg/relay"
	"orderflow/pkg/replay"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/services/customer/internal/announce"
	"orderflow/services/customer/internal/domain"
	"orderflow/services/customer/internal/forgetting"
	"orderflow/services/customer/internal/stored"
	"orderflow/services/customer/internal/vault"
	"orderflow/services/customer/internal/web"
)

//go:embed migrations
var migrations embed.FS

// Run runs the service until ctx ends.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("customer", "127.0.0.1:8081", host)
	if err != nil {
		return err
	}
	db, store, bus := svc.Database(), svc.EventStore(), svc.Bus(ctx)
	if err := svc.Refused(); err != nil {
		return err
	}
	svc.Migrate(db, migrations, sqldb.MigrateLease, relay.Migrate, replay.Migrate)

	keys := vault.New(db)
	codec := stored.Codec{Sealer: keys}
	customers := es.NewRepository(store, "customer", codec, domain.Apply)

	announcer := relay.New(relay.Config{
		Name: "customer", Store: store, Prefixes: []string{"customer-"}, DB: db, Bus: bus,
		Translate: announce.Translator{Codec: codec}.Translate,
		Temporary: func(err error) bool { return errors.Is(err, vault.ErrUnavailable) },
		Log:       svc.Log,
	})
	svc.Relay(announcer)
	svc.ReplayHistory(db, bus, announcer.History())
	svc.Loop("forgetting", forgetting.New(db, store, bus, keys, announcer).Run)

	api := &web.API{
		Customers: customers, Forgetting: es.NewRepository(store, "customer", codec.Forgetting(), domain.Apply),
		Keys: keys, Announced: announcer.Newest,
	}
	api.Register(svc)
	svc.ServeTrace(service.TraceRelay(announcer))
	svc.ServeLedger() // it keeps streams, and no read model that could lag behind them
	svc.ServeAnnouncements(service.OfRelay(announcer))
	svc.ServeDeadLetters(service.RelayBox{Relay: announcer})
	return svc.Run(ctx)
}
