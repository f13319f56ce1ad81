package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

func (s *Service) listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.settings.HTTPAddr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %w: HTTP_ADDR: %s is taken by another process", s.name, ErrSettings, s.settings.HTTPAddr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: HTTP_ADDR: %w", s.name, ErrSettings, err)
	}
	return listener, nil
}

// serve answers requests until ctx ends, and then finishes those under way
// within STOP_WITHIN.
func (s *Service) serve(ctx context.Context, listener net.Listener) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := &http.Server{
		Handler:           s.Router,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.StopWithin)
		defer cancel()
		// Operations finish by themselves, streams of server-sent events never do:
		// their contexts end when the last operation has.
		go func() {
			s.requests.wait(stop)
			cut()
		}()
		err := server.Shutdown(stop)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		stopped <- err
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: serve %s: %w", s.name, listener.Addr(), err)
	}
	if err := <-stopped; err != nil {
		s.Log.WarnContext(ctx, "requests cut off", "error", err)
	}
	return nil
}

// requests counts the operations under way.
type requests struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // set by the one who waits, closed when count is 0
}

func (r *requests) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
}

func (r *requests) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count--; r.count == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// wait returns when no operation is under way, or ctx ends.
func (r *requests) wait(ctx context.Context) {
	r.mu.Lock()
	if r.count == 0 {
		r.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	r.idle = idle
	r.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
