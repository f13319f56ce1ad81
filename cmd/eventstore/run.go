package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/alecthomas/kong"

	"orderflow/pkg/esdbserver"
)

// shutdownPatience is how long calls that are running may take to finish when the server is told to stop.
const shutdownPatience = 5 * time.Second

// flags are what the command line can say.
type flags struct {
	Listen string    `default:"127.0.0.1:2113" help:"Address to listen on (default: ${default})." placeholder:"HOST:PORT"`
	Data   directory `help:"Data directory, made when missing. Without it everything is kept in memory." placeholder:"DIR"`
	security
	LogLevel slog.Level `default:"info" help:"What to log: debug, info, warn or error."`

	SystemProjections bool `help:"Link every event by category, type and more: $$ce-, $$et- and such streams."`
}

// directory is the path of one. It has a name: an empty one, as a variable that is not set leaves behind, would otherwise
// be the working directory to kong.
type directory string

// Decode reads the path from the command line.
func (d *directory) Decode(ctx *kong.DecodeContext) error {
	var path string
	if err := ctx.Scan.PopValueInto("directory", &path); err != nil {
		return err
	}
	if path == "" {
		return errors.New("it has no name; leave the flag out to keep everything in memory")
	}
	*d = directory(kong.ExpandPath(path))
	return nil
}

// run is the whole program. It returns the exit code: 0 after a clean stop, 1 when the server could not run, 2 for a
// command line that makes no sense.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var options flags
	exit := -1
	parser, err := kong.New(&options,
		kong.Name("eventstore"),
		kong.Description("An event store that speaks the EventStoreDB gRPC protocol."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
	)
	if err != nil {
		fmt.Fprintf(stderr, "eventstore: %v\n", err)
		return 1
	}
	_, err = parser.Parse(args)
	switch {
	case exit >= 0: // --help has been answered
		return exit
	case err != nil:
		fmt.Fprintf(stderr, "eventstore: %v\n", err)
		return 2
	}
	if err := serve(ctx, options, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "eventstore: %v\n", err)
		return 1
	}
	return 0
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, options flags, stdout, stderr io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: options.LogLevel}))
	transport, err := options.security.config(logger)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", options.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", options.Listen, err)
	}
	server, err := esdbserver.Open(esdbserver.Config{
		Dir: string(options.Data), Logger: logger, SystemProjections: options.SystemProjections,
		TLS: transport, AdminPassword: options.AdminPassword, OpsPassword: options.OpsPassword,
		ResetPasswords: options.ResetPasswords, AllowAnonymousStreamAccess: options.AllowAnonymousStreamAccess,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "event store ready: %s\n", server.ConnectionString(listener.Addr()))
	logger.Info("event store is ready", "address", listener.Addr().String(), "data", dataName(options.Data), "version", esdbserver.Version, "secure", transport != nil)

	select {
	case <-ctx.Done():
		logger.Info("event store is stopping")
	case err = <-served:
		return errors.Join(err, server.Close())
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, esdbserver.ErrServerClosed) {
		return err
	}
	return nil
}

func dataName(dir directory) string {
	if dir == "" {
		return "in memory"
	}
	return string(dir)
}
