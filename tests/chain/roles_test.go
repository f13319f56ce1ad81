//go:build unix

package chain

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// leaseTTL is short, so that a run of seconds sees many take-overs.
const leaseTTL = time.Second

// The wire types of the chain.
const (
	counted = "order.events.counted.v1"
	seen    = "packing.events.seen.v1"
)

// payload is what both events say.
type payload struct {
	N int `json:"n"`
}

// runStore serves the events in a directory.
func runStore(ctx context.Context, log *slog.Logger) error {
	server, err := esdbserver.Open(esdbserver.Config{Dir: os.Getenv(storeDirVariable), Logger: log, WriteTimeout: 30 * time.Second})
	if err != nil {
		return err
	}
	address := strings.TrimSuffix(strings.TrimPrefix(os.Getenv(storeVariable), "esdb://"), "?tls=false")
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return server.Serve(listener)
}

// runRelay is one relay of the service order.
func runRelay(ctx context.Context, log *slog.Logger) error {
	store, err := es.Open(os.Getenv(storeVariable), log)
	if err != nil {
		return err
	}
	db, err := sqldb.Connect(os.Getenv(orderVariable))
	if err != nil {
		return err
	}
	bus, err := service.OpenBus(ctx, os.Getenv(busVariable), "order", log)
	if err != nil {
		return err
	}
	r := relay.New(relay.Config{
		Name: "order", Store: store, Prefixes: []string{"order-"}, DB: db, Bus: pausable(bus), Translate: announce, LeaseTTL: leaseTTL, Log: log,
	})
	fmt.Println("ready")
	again(ctx, log, "relay", r.Run)
	return nil
}

func announce(_ context.Context, r es.Recorded) ([]eventbus.Event, error) {
	return []eventbus.Event{{
		ID: cause.IntegrationID(r.ID, counted).String(), Source: "/orderflow/order", Type: counted, Subject: r.AggregateID().String(),
		Time: r.At, Data: r.Data, Sequence: int64(r.Revision),
		CorrelationID: r.Metadata.CorrelationID, CausationID: r.Metadata.CausationID,
	}}, nil
}

// runConsumer is one instance of the services packing and crm.
func runConsumer(ctx context.Context, log *slog.Logger) error {
	bus, err := service.OpenBus(ctx, os.Getenv(busVariable), "consumer", log)
	if err != nil {
		return err
	}
	packingDB, err := sqldb.Connect(os.Getenv(packingVariable))
	if err != nil {
		return err
	}
	crmDB, err := sqldb.Connect(os.Getenv(crmVariable))
	if err != nil {
		return err
	}
	var loops sync.WaitGroup
	out := outbox.New(packingDB, bus, log, outbox.Options{LeaseTTL: leaseTTL})
	for _, in := range []*inbox.Inbox{packing(packingDB, out, log), crm(crmDB, log)} {
		subscribe(ctx, bus, in, log)
		loops.Go(func() { again(ctx, log, "inbox", in.Run) })
	}
	fmt.Println("ready")
	again(ctx, log, "outbox", out.Run)
	loops.Wait()
	return nil
}

// packing writes its read model, and an event of its own that says so.
func packing(db sqldb.DB, out *outbox.Outbox, log *slog.Logger) *inbox.Inbox {
	in := inbox.New(db, "packing", log, inbox.Options{})
	inbox.On(in, counted, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data payload) error {
		if err := effect(ctx, tx, e, data); err != nil {
			return err
		}
		c := cause.Of(e)
		return out.Add(ctx, tx, c, eventbus.Event{
			ID: c.EventID(e.Subject, 0).String(), Source: "/orderflow/packing", Type: seen, Subject: e.Subject,
			Time: e.Time, Data: e.Data, Sequence: e.Sequence,
		})
	})
	return in
}

func crm(db sqldb.DB, log *slog.Logger) *inbox.Inbox {
	in := inbox.New(db, "crm", log, inbox.Options{})
	inbox.On(in, seen, effect)
	return in
}

// effect changes the read model: a row per event, numbered in the order of the
// effects; a sum per subject, which an event that counted twice would spoil; and
// the last value of a subject, which an old event must not bring back.
func effect(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data payload) error {
	_, err := tx.Exec(ctx, `INSERT INTO total (subject, events, sum) VALUES ($1, 1, $2)
		ON CONFLICT (subject) DO UPDATE SET events = total.events + 1, sum = total.sum + excluded.sum`, e.Subject, data.N)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO latest (subject, sequence, n) VALUES ($1, $2, $3)
		ON CONFLICT (subject) DO UPDATE SET sequence = excluded.sequence, n = excluded.n
		WHERE latest.sequence < excluded.sequence`, e.Subject, e.Sequence, data.N)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO effect (subject, sequence, n) VALUES ($1, $2, $3)`, e.Subject, e.Sequence, data.N)
	return err
}

// migrate makes the tables of a consumer.
func migrate(ctx context.Context, db sqldb.DB) error {
	for _, tables := range []func(context.Context, sqldb.DB) error{inbox.Migrate, outbox.Migrate} {
		if err := tables(ctx, db); err != nil {
			return err
		}
	}
	serial := "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
	if db.Dialect() == sqldb.SQLite {
		serial = "INTEGER PRIMARY KEY AUTOINCREMENT"
	}
	return db.Update(ctx, func(tx sqldb.Tx) error {
		for _, statement := range []string{
			`CREATE TABLE effect (seq ` + serial + `, subject TEXT NOT NULL, sequence BIGINT NOT NULL, n BIGINT NOT NULL)`,
			`CREATE TABLE total (subject TEXT PRIMARY KEY, events BIGINT NOT NULL, sum BIGINT NOT NULL)`,
			`CREATE TABLE latest (subject TEXT PRIMARY KEY, sequence BIGINT NOT NULL, n BIGINT NOT NULL)`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// subscribe tries until it works: the broker may be away at the moment.
func subscribe(ctx context.Context, bus eventbus.Bus, in *inbox.Inbox, log *slog.Logger) {
	queue := eventbus.Queue{Name: in.Patterns()[0], Patterns: in.Patterns()}
	subscribed := false
	again(ctx, log, "subscribe", func(ctx context.Context) error {
		if subscribed {
			return nil
		}
		trying, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if _, err := bus.Subscribe(trying, queue, in.Handle); err != nil {
			return err
		}
		subscribed = true
		return nil
	})
}

// again keeps a loop going until it returns nil, as a service does.
func again(ctx context.Context, log *slog.Logger, name string, run func(context.Context) error) {
	for {
		err := run(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		log.WarnContext(ctx, "again", "loop", name, "error", err)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}
