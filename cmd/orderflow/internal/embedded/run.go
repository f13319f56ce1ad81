package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/share"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/service"
)

// patience is how long the event bus, and then the event store, may take to finish what they have begun.
const patience = 10 * time.Second

// Run runs the system until ctx ends, and then stops it: the services together, the event bus after them, the event
// store last. It returns an error, in one line, when a part cannot run; the others are stopped then. Log lines of every
// part go to log.
func (p Plan) Run(ctx context.Context, log io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	logger := slog.New(slog.NewTextHandler(log, nil))
	stopStore, err := p.startEventStore(ctx, stop, logger.With("service", "eventstore"))
	if err != nil {
		return err
	}
	bus, err := p.openBus(ctx, logger.With("service", "eventbus"))
	if err != nil {
		return errors.Join(err, stopStore())
	}
	err = p.runServices(ctx, log, bus)
	if err == nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		err = context.Cause(ctx) // the event store ended
	}
	return errors.Join(err, bus.close(), stopStore())
}

// runServices runs all services until ctx ends or one of them cannot run.
func (p Plan) runServices(ctx context.Context, log io.Writer, bus sharedBus) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range p.services {
		group.Go(func() error {
			err := s.run(ctx, service.Host{Environ: s.environ, Log: log, OpenBus: bus.opener()})
			if err == nil && ctx.Err() == nil {
				err = fmt.Errorf("%s: ended by itself", s.name)
			}
			return s.explain(err)
		})
	}
	return group.Wait()
}

// explain names the variable that is to be changed here, in place of the one that the service knows.
func (s planned) explain(err error) error {
	if !errors.Is(err, service.ErrSettings) {
		return err
	}
	text := strings.NewReplacer(
		"HTTP_ADDR", Variable(s.name, "ADDR"),
		"DATABASE_URL", "DATABASE_URL_"+strings.ToUpper(s.name),
		"\n", "; ",
	).Replace(err.Error())
	return errors.New(text)
}

var errDiskFailed = errors.New("event store: the disk failed while events were written; nothing that was acknowledged is lost, start again when it works")

// startEventStore starts the embedded event store unless another one is to be used. failed is told when it ends by
// itself; stop stops it and waits.
func (p Plan) startEventStore(ctx context.Context, failed context.CancelCauseFunc, log *slog.Logger) (stop func() error, err error) {
	if p.eventStoreAddr == "" {
		return func() error { return nil }, nil
	}
	server, err := esdbserver.Open(esdbserver.Config{
		Dir: p.dir.EventStore(), Logger: log,
		// No order could be taken any more, until a new start has found out what is on the disk.
		DiskFailed: func() { failed(errDiskFailed) },
	})
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.eventStoreAddr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("EVENTSTORE_ADDR: %w", err), server.Close())
	}
	log.Info("started", "addr", listener.Addr().String())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, esdbserver.ErrServerClosed) {
			failed(fmt.Errorf("event store: %w", err))
		}
	}()
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		err := server.Shutdown(ctx)
		<-served
		return err
	}, nil
}

// sharedBus is the one event bus of all services. When it is somebody else's server every service connects by itself.
type sharedBus struct{ bus *sqlitebus.Bus }

func (p Plan) openBus(ctx context.Context, log *slog.Logger) (sharedBus, error) {
	path, ok := strings.CutPrefix(p.busURL, "sqlite://")
	if !ok || path == "" {
		return sharedBus{}, nil
	}
	bus, err := sqlitebus.Open(ctx, sqlitebus.Config{Path: path, Logger: log})
	if err != nil {
		return sharedBus{}, fmt.Errorf("EVENTBUS_URL: %w", err)
	}
	return sharedBus{bus}, nil
}

// opener is what a service opens the bus with; nil means by itself. A service closes its subscriptions itself; the bus is
// closed after all services have stopped.
func (b sharedBus) opener() func(context.Context, string, string, *slog.Logger) (eventbus.Bus, error) {
	if b.bus == nil {
		return nil
	}
	return func(context.Context, string, string, *slog.Logger) (eventbus.Bus, error) { return share.Of(b.bus), nil }
}

func (b sharedBus) close() error {
	if b.bus == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.bus.Close(ctx); err != nil {
		return fmt.Errorf("close event bus: %w", err)
	}
	return nil
}
