package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
)

// Host is what surrounds a service: the process it runs in.
type Host struct {
	// Environ holds the settings, by variable name.
	Environ map[string]string
	// Log receives the log lines.
	Log io.Writer
	// Listening, unless nil, is told the address that the service listens on,
	// which is how one learns what port 0 became.
	Listening func(address string)
	// OpenBus opens the event bus at a URL; nil means [OpenBus]. A process that
	// runs several services gives them one bus.
	OpenBus func(ctx context.Context, url, client string, log *slog.Logger) (eventbus.Bus, error)
}

// Settings are what every service reads from its environment.
type Settings struct {
	// HTTPAddr is the host and port to listen on.
	HTTPAddr string `env:"HTTP_ADDR"`
	// DatabaseURL is postgres://... or sqlite://FILE; see [sqldb.Open].
	DatabaseURL string `env:"DATABASE_URL"`
	// EventBusURL is amqp://... or sqlite://FILE; see [OpenBus].
	EventBusURL string `env:"EVENTBUS_URL" envDefault:"sqlite://data/bus.db"`
	// EventStoreURL is a connection string of EventStoreDB; see [es.Open].
	EventStoreURL string `env:"EVENTSTORE_URL" envDefault:"esdb://127.0.0.1:2113?tls=false"`
	// Outbox is how the outbox is read: poll, or cdc, which needs PostgreSQL with
	// wal_level = logical; see package outbox.
	Outbox outbox.Reader `env:"OUTBOX" envDefault:"poll"`
	// OutboxKeep is how long events stay in the outbox after they were sent, as the
	// history that a consumer can be told again; 0 is for ever.
	OutboxKeep time.Duration `env:"OUTBOX_KEEP" envDefault:"0"`
	// LogLevel is DEBUG, INFO, WARN or ERROR.
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"INFO"`
	// StopWithin is how long requests and deliveries under way may take to finish
	// when the service is asked to stop.
	StopWithin time.Duration `env:"STOP_WITHIN" envDefault:"10s"`
}

// ErrSettings is the kind of error that no waiting mends: a variable holds a
// value that cannot work.
var ErrSettings = errors.New("settings")

// Load reads further settings of one service into target, a pointer to a struct
// with env tags. Its error is one line that names each variable at fault.
func (h Host) Load(target any) error {
	err := env.ParseWithOptions(target, env.Options{Environment: h.Environ})
	if err == nil {
		return nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return fmt.Errorf("%w: %w", ErrSettings, err)
	}
	faults := make([]string, len(all.Errors))
	for i, fault := range all.Errors {
		faults[i] = fault.Error()
		if parse := (env.ParseError{}); errors.As(fault, &parse) {
			faults[i] = variable(target, parse.Name) + ": " + parse.Err.Error()
		}
	}
	return fmt.Errorf("%w: %s", ErrSettings, strings.Join(faults, "; "))
}

// variable is the name behind a field of a struct of settings.
func variable(target any, field string) string {
	if found, ok := reflect.TypeOf(target).Elem().FieldByName(field); ok {
		name, _, _ := strings.Cut(found.Tag.Get("env"), ",")
		return name
	}
	return field
}

// Main runs a service as a process of its own and ends the process: with 0
// after SIGINT or SIGTERM, with 1 and one line on standard error when it cannot
// run.
func Main(run func(context.Context, Host) error) {
	os.Exit(mainCode(run))
}

func mainCode(run func(context.Context, Host) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, Host{Environ: env.ToMap(os.Environ()), Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
