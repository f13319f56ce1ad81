package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/embedded"
	"orderflow/cmd/orderflow/internal/servers"
	"orderflow/cmd/orderflow/internal/stack"
	"orderflow/pkg/es"
)

// Where the servers of a temporary system are, unless EVENTBUS_URL and POSTGRES_URL say otherwise.
const (
	usualRabbitMQ = "amqp://guest:guest@127.0.0.1:5672/" //nolint:gosec // the user that every new RabbitMQ has, for this machine only
	usualPostgres = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
)

// onSystem gives use the addresses of the system that runs for dir. When none runs, or fresh is true, it starts one of
// its own, in a temporary folder, on free ports and with further settings, and stops and removes it afterwards.
func onSystem(
	ctx context.Context, term terminal, dir datadir.Dir, fresh bool, settings map[string]string,
	use func(context.Context, datadir.State) error,
) error {
	if !fresh {
		state, up, err := runningState(dir)
		if err != nil {
			return err
		}
		if up {
			fmt.Fprintf(term.Out, "on the system that is up (%s, data in %s)\n", state.Stack, dir)
			return use(ctx, state)
		}
	}
	fmt.Fprintln(term.Out, "on a system of its own, embedded, in a temporary folder")
	return onTemporarySystem(ctx, term, settings, use)
}

// onRealServers gives use the addresses of a system of its own that is like the one of onSystem, but for its bus and its
// databases: those are on RabbitMQ and PostgreSQL, and are removed afterwards, also when ctx ends.
func onRealServers(ctx context.Context, term terminal, use func(context.Context, datadir.State) error) (err error) {
	broker, postgres := cmp.Or(term.Environ["EVENTBUS_URL"], usualRabbitMQ), cmp.Or(term.Environ["POSTGRES_URL"], usualPostgres)
	room, err := servers.Make(ctx, broker, postgres, embedded.Names())
	if err != nil {
		return fmt.Errorf("%w (EVENTBUS_URL and POSTGRES_URL name the servers)", err)
	}
	defer func() { err = errors.Join(err, room.Remove(ctx)) }()
	fmt.Fprintf(term.Out, "on a system of its own, on RabbitMQ and PostgreSQL (everything there is named %s)\n", room.Name)
	settings := room.Environ()
	if reader := term.Environ["OUTBOX"]; reader != "" {
		settings["OUTBOX"] = reader
	}
	return onTemporarySystem(ctx, term, settings, use)
}

// onTemporarySystem runs a system with further settings for as long as use needs it.
func onTemporarySystem(
	ctx context.Context, term terminal, settings map[string]string, use func(context.Context, datadir.State) error,
) (err error) {
	path, err := os.MkdirTemp("", "orderflow-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(path)) }()
	environ := onFreePorts(term.Environ)
	maps.Copy(environ, settings)
	plan, err := embedded.NewPlan(ctx, datadir.New(filepath.Join(path, "data"), embedded.Names()), environ)
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(path, "data"), 0o700); err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	log, err := os.Create(filepath.Join(path, "orderflow.log"))
	if err != nil {
		return fmt.Errorf("log of the temporary system: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- plan.Run(running, log) }()
	state := datadir.State{Stack: datadir.Embedded, URLs: plan.URLs, EventStore: es.Redacted(plan.EventStoreURL)}
	waiting, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("gave up after 1m0s"))
	err = stack.WaitReady(waiting, plan.URLs, ended, func(string) {})
	cancel()
	if err != nil {
		stop()
		return errors.Join(fmt.Errorf("the system of its own: %w", err), tail(log.Name()))
	}
	err = use(ctx, state)
	stop()
	if stopErr := <-ended; stopErr != nil {
		err = errors.Join(err, fmt.Errorf("stop the system of its own: %w", stopErr))
	}
	if err != nil {
		err = errors.Join(err, tail(log.Name()))
	}
	return err
}

// onFreePorts leaves out everything that would tie a temporary system to what runs elsewhere, or is about servers that it
// does not use.
func onFreePorts(environ map[string]string) map[string]string {
	free := maps.Clone(environ)
	if free == nil {
		free = map[string]string{}
	}
	for _, name := range []string{"EVENTSTORE_URL", "EVENTBUS_URL", "DATABASE_URL", "OUTBOX"} {
		delete(free, name)
	}
	free["EVENTSTORE_ADDR"] = "127.0.0.1:0"
	for _, name := range embedded.Names() {
		free[embedded.Variable(name, "ADDR")] = "127.0.0.1:0"
		delete(free, embedded.Variable(name, "URL"))
		delete(free, "DATABASE_URL_"+strings.ToUpper(name))
	}
	if free["LOG_LEVEL"] == "" {
		free["LOG_LEVEL"] = "WARN"
	}
	return free
}

// tail is the end of a log as an error, for a system whose log is about to be removed.
func tail(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return fmt.Errorf("its log ends with:\n%s", strings.Join(lines[max(0, len(lines)-10):], "\n"))
}
