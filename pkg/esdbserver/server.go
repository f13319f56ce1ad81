package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Version is the version of the original server whose behaviour this one follows; it is what clients are told.
const Version = "24.10.4"

// DefaultMaxAppendSize is the limit on the events of one append, in bytes, that the original server has in this version.
const DefaultMaxAppendSize = 1 << 20

// Config says where a server keeps its events and what it allows. The zero value is a server in memory with the limits of
// the original.
type Config struct {
	// Dir is the data directory, made when it is missing. Empty keeps everything in memory until the server is closed.
	Dir string
	// Now is the clock that stamps events and ages them out ($maxAge). nil is time.Now.
	Now func() time.Time
	// Logger receives what an operator should see. nil is silent.
	Logger *slog.Logger
	// MaxAppendSize limits the sum of the sizes of the events of one append, in bytes. 0 is DefaultMaxAppendSize.
	MaxAppendSize int
	// MaxAppendEventSize limits the size of one event, in bytes. 0 is no limit beyond that of a message (16 MiB).
	MaxAppendEventSize int
	// WriteTimeout is how long a write may wait for its commit before it is answered with ABORTED. 0 is 2 s.
	WriteTimeout time.Duration
}

// Server is an EventStoreDB-protocol server. Open makes one, Serve answers on a listener.
type Server struct {
	config Config
	log    *eventlog.Log
	id     uuid.UUID // identifies this run in gossip
	grpc   *grpc.Server
	http   *http.Server

	ready    atomic.Bool
	stop     context.CancelFunc // ends the subscriptions
	stopping context.Context
	serving  sync.WaitGroup
	mu       sync.Mutex
	splits   []*splitter
	closed   bool
}

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = errors.New("event store: server closed")

// Open opens the data directory. It fails, with an error that names the directory, when another server uses it or when
// what lies there is damaged or not ours.
func Open(config Config) (*Server, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.MaxAppendSize == 0 {
		config.MaxAppendSize = DefaultMaxAppendSize
	}
	log, err := eventlog.Open(eventlog.Options{
		Dir: config.Dir, Now: config.Now, Logger: config.Logger, WriteTimeout: config.WriteTimeout,
	})
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, log: log, id: uuid.New()}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.grpc = s.newGRPC()
	s.http = s.newHTTP()
	s.ready.Store(true)
	return s, nil
}

// Serve answers gRPC (HTTP/2 with prior knowledge) and HTTP/1.1 on one listener until Shutdown or Close; it then returns
// ErrServerClosed. It takes over the listener. It may be called for several listeners.
func (s *Server) Serve(listener net.Listener) error {
	split := newSplitter(listener)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(ErrServerClosed, listener.Close())
	}
	s.splits = append(s.splits, split)
	s.serving.Add(2)
	s.mu.Unlock()

	go func() {
		defer s.serving.Done()
		if err := s.grpc.Serve(split.http2); err != nil && s.stopping.Err() == nil {
			s.config.Logger.Error("gRPC server ended", "error", err)
		}
	}()
	go func() {
		defer s.serving.Done()
		if err := s.http.Serve(split.http1); err != nil && s.stopping.Err() == nil {
			s.config.Logger.Error("HTTP server ended", "error", err)
		}
	}()
	err := split.run()
	if s.stopping.Err() != nil {
		return ErrServerClosed
	}
	return fmt.Errorf("accept on %s: %w", listener.Addr(), err)
}

// Shutdown ends the subscriptions, lets the other calls finish until ctx ends, and closes the data directory. Everything
// acknowledged before is kept. Clients see their subscriptions end with UNAVAILABLE.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	splits := s.splits
	s.mu.Unlock()

	s.ready.Store(false)
	s.stop()
	for _, split := range splits {
		split.close()
	}
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	select {
	case <-graceful:
	case <-ctx.Done():
		s.grpc.Stop()
		<-graceful
	}
	if err := s.http.Shutdown(ctx); err != nil {
		s.config.Logger.Warn("HTTP requests were cut off", "error", errors.Join(err, s.http.Close()))
	}
	s.serving.Wait()
	if err := s.log.Close(); err != nil {
		return fmt.Errorf("close event store: %w", err)
	}
	return nil
}

// Close is Shutdown without patience: calls that are running are cut off.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return s.Shutdown(ctx)
}

// ConnectionString is what a client is given to reach a server that listens on addr.
func (s *Server) ConnectionString(addr net.Addr) string {
	return "esdb://" + advertised(addr).String() + "?tls=false"
}
