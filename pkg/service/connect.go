package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
)

// OpenBus opens the event bus at rawURL: amqp://... or amqps://... is RabbitMQ,
// sqlite://FILE is the embedded bus. The query parameter namespace keeps several
// systems apart on one broker. client names the connection to people who watch
// the broker. RabbitMQ need not be there yet.
func OpenBus(ctx context.Context, rawURL, client string, log *slog.Logger) (eventbus.Bus, error) {
	if path, ok := strings.CutPrefix(rawURL, "sqlite://"); ok && path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, fmt.Errorf("folder of the event bus: %w", err)
		}
		return sqlitebus.Open(ctx, sqlitebus.Config{Path: path, Logger: log})
	}
	parsed, err := url.Parse(rawURL)
	if err != nil || parsed.Scheme != "amqp" && parsed.Scheme != "amqps" {
		return nil, fmt.Errorf("%q is neither amqp://... nor sqlite://FILE", sqldb.Redact(rawURL))
	}
	query := parsed.Query()
	namespace := query.Get("namespace")
	query.Del("namespace")
	parsed.RawQuery = query.Encode()
	return rabbitmq.Open(ctx, rabbitmq.Config{URL: parsed.String(), Namespace: namespace, ConnectionName: client, Logger: log})
}

// Database is the service's database, DATABASE_URL. It need not be there yet:
// starting waits for it.
func (s *Service) Database() sqldb.DB {
	if path, ok := strings.CutPrefix(s.settings.DatabaseURL, "sqlite://"); ok && path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			s.refuse("DATABASE_URL", err)
			return nil
		}
	}
	db, err := sqldb.Connect(s.settings.DatabaseURL)
	if err != nil {
		s.refuse("DATABASE_URL", err)
		return nil
	}
	s.onStop(db.Close)
	s.Check("database (DATABASE_URL)", db.Ping)
	return db
}

// Bus is the event bus, EVENTBUS_URL.
func (s *Service) Bus(ctx context.Context) eventbus.Bus {
	open := s.host.OpenBus
	if open == nil {
		open = OpenBus
	}
	bus, err := open(ctx, s.settings.EventBusURL, s.name, s.Log)
	if err != nil {
		s.refuse("EVENTBUS_URL", err)
		return nil
	}
	s.onStop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.settings.StopWithin)
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			s.Log.Warn("closing the event bus", "error", err)
		}
	})
	s.Check("event bus (EVENTBUS_URL)", func(context.Context) error { return bus.Ready() })
	s.busMetrics(bus)
	s.bus = bus
	return bus
}

// Outbox is the outbox in the service's database, published to the bus and read
// as OUTBOX says. [Service.Publish] keeps it going.
func (s *Service) Outbox(db sqldb.DB, bus eventbus.Publisher) *outbox.Outbox {
	if s.settings.Outbox == outbox.Capture && db.Dialect() != sqldb.Postgres {
		s.refuse("OUTBOX", fmt.Errorf("%s needs PostgreSQL as DATABASE_URL", outbox.Capture))
	}
	if s.settings.OutboxKeep < 0 {
		s.refuse("OUTBOX_KEEP", errors.New("is less than nothing"))
	}
	return outbox.New(db, bus, s.Log, outbox.Options{Reader: s.settings.Outbox, Retention: s.settings.OutboxKeep})
}

// EventStore is the event store, EVENTSTORE_URL. It need not be there yet.
func (s *Service) EventStore() *es.Store {
	store, err := es.Open(s.settings.EventStoreURL, s.Log)
	if err != nil {
		s.refuse("EVENTSTORE_URL", err)
		return nil
	}
	s.onStop(store.Close)
	s.Check("event store (EVENTSTORE_URL)", store.Ready)
	return store
}
