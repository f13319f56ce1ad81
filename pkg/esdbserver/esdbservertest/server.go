package esdbservertest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver"
)

// Server is an event store that belongs to a test.
type Server struct {
	t      testing.TB
	config esdbserver.Config
	clock  clock

	mu      sync.Mutex
	addr    string // where it listens; kept from the first start on
	running *esdbserver.Server
	served  chan error
}

// Option changes how a store is started.
type Option func(*esdbserver.Config)

// InDir keeps the events in a directory, so that they survive Stop and Start.
func InDir(dir string) Option { return func(c *esdbserver.Config) { c.Dir = dir } }

// Configure gives access to everything else that a server can be told.
func Configure(change func(*esdbserver.Config)) Option { return change }

// New starts a store and stops it when the test ends. Writes may take as long as they need (30 s), so that a busy machine
// fails no test.
func New(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t, addr: "127.0.0.1:0"}
	s.config = esdbserver.Config{
		Now:          s.clock.now,
		Logger:       slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		WriteTimeout: 30 * time.Second,
	}
	for _, option := range options {
		option(&s.config)
	}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Start starts the store again after Stop, on the same port. What it kept in memory is gone.
func (s *Server) Start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return
	}
	server, err := esdbserver.Open(s.config)
	if err != nil {
		s.t.Fatalf("open event store: %v", err)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		s.t.Fatalf("event store: %v", errors.Join(err, server.Close()))
	}
	s.addr, s.running, s.served = listener.Addr().String(), server, make(chan error, 1)
	go func(served chan<- error) { served <- server.Serve(listener) }(s.served)
}

// Stop takes the store down at once: calls that are running are cut off, subscriptions end. Stopping twice is no error.
func (s *Server) Stop() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return
	}
	if err := s.running.Close(); err != nil {
		s.t.Errorf("close event store: %v", err)
	}
	if err := <-s.served; !errors.Is(err, esdbserver.ErrServerClosed) {
		s.t.Errorf("serve event store: %v", err)
	}
	s.running = nil
}

// Addr is the host and port that the store answers on.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// ConnectionString is what the official client is given.
func (s *Server) ConnectionString() string { return "esdb://" + s.Addr() + "?tls=false" }

// Client connects the official client, silenced, and closes it when the test ends.
func (s *Server) Client(t testing.TB) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(s.ConnectionString())
	if err != nil {
		t.Fatalf("connection string: %v", err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatalf("connect to event store: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() }) // never fails
	return client
}

// testWriter sends what the server logs to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", line)
	return len(line), nil
}
