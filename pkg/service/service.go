package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/eventbus"
)

// Service is one service while it is put together and while it runs. Its
// methods are called by one goroutine, before [Service.Run].
type Service struct {
	// Log is the service's log.
	Log *slog.Logger
	// Router takes handlers that are no part of the described API, such as
	// pages and streams of server-sent events.
	Router chi.Router
	// API takes the described operations; see [Get] and its siblings.
	API huma.API
	// Metrics are shown at /metrics.
	Metrics *prometheus.Registry

	name     string
	host     Host
	settings Settings
	refused  []error
	bus      eventbus.Bus // what Bus returned

	translate func(error) error
	checks    []check
	steps     []step
	loops     []*loop
	stopping  []func()
	start     starting
	requests  requests
}

// step is something that must have succeeded once before the loops start.
type step struct {
	name string
	do   func(context.Context) error
}

// New returns a service that listens on addr, unless HTTP_ADDR says otherwise,
// and keeps its data in data/<name>.db, unless DATABASE_URL does.
func New(name, addr string, host Host) (*Service, error) {
	settings := Settings{HTTPAddr: addr, DatabaseURL: "sqlite://data/" + name + ".db"}
	if err := host.Load(&settings); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	log := slog.New(slog.NewTextHandler(host.Log, &slog.HandlerOptions{Level: settings.LogLevel})).With("service", name)
	s := &Service{Log: log, name: name, host: host, settings: settings}
	s.Metrics = newRegistry(name)
	s.Router, s.API = s.newAPI()
	return s, nil
}

// refuse notes a setting that can never work; Run reports it.
func (s *Service) refuse(variable string, err error) {
	s.refused = append(s.refused, fmt.Errorf("%s: %w: %s: %w", s.name, ErrSettings, variable, err))
}

// Refused returns what is wrong with the settings used so far, one line each, or
// nil. Look at it before using parts that a bad setting left nil. When it is not
// nil the parts that did open are closed again: there is nothing to run.
func (s *Service) Refused() error {
	if len(s.refused) > 0 {
		s.release()
	}
	return errors.Join(s.refused...)
}

// Start adds a step to be taken before the loops run, such as migrating the
// database. It is repeated until it succeeds, with growing pauses.
func (s *Service) Start(name string, do func(context.Context) error) {
	s.steps = append(s.steps, step{name, do})
}

// onStop adds something to be released at the end, last added first.
func (s *Service) onStop(release func()) { s.stopping = append(s.stopping, release) }

func (s *Service) release() {
	for i := len(s.stopping) - 1; i >= 0; i-- {
		s.stopping[i]()
	}
	s.stopping = nil
}

// Run serves until ctx ends. Then it takes no new requests and no new
// deliveries, lets those under way finish, within STOP_WITHIN, and releases the
// connections. It returns an error only when the service cannot work at all: a
// setting is wrong, or the address is taken.
func (s *Service) Run(ctx context.Context) error {
	defer s.release()
	if err := s.Refused(); err != nil {
		return err
	}
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if s.host.Listening != nil {
		s.host.Listening(listener.Addr().String())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serve(ctx, listener) })
	group.Go(func() error {
		for _, step := range s.steps {
			if err := s.untilDone(ctx, step); err != nil {
				return nil //nolint:nilerr // the context has ended: the service stops
			}
		}
		s.start.finish()
		s.Log.InfoContext(ctx, "started", "addr", listener.Addr().String())
		for _, l := range s.loops {
			group.Go(func() error { l.run(ctx, s.Log); return nil })
		}
		return nil
	})
	return group.Wait()
}

// untilDone repeats a step until it succeeds; the only error is that ctx ended.
func (s *Service) untilDone(ctx context.Context, step step) error {
	pauses := newPauses()
	s.start.set(step.name, nil)
	for {
		err := guard(ctx, step.do)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		s.start.set(step.name, err)
		wait := pauses.NextBackOff()
		s.Log.WarnContext(ctx, "not started yet", "step", step.name, "error", err, "again_in", wait.Round(time.Millisecond))
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}
