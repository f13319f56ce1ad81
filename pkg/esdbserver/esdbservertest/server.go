package esdbservertest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"
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
	faults faults

	secure *authority // nil in an insecure store

	mu      sync.Mutex
	addr    string // where it listens; kept from the first start on
	aside   string // where it listens for the test itself, beside all faults
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
	s := &Server{t: t, addr: "127.0.0.1:0", clock: clock{wake: make(chan struct{}, 1)}}
	s.config = esdbserver.Config{
		Now:          s.clock.now,
		Wake:         s.clock.wake,
		Logger:       slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		WriteTimeout: 30 * time.Second,
	}
	for _, option := range options {
		option(&s.config)
	}
	s.secure = certify(t, &s.config)
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
	server, err := esdbserver.Open(s.faults.under(s.config))
	if err != nil {
		s.t.Fatalf("open event store: %v", err)
	}
	listener, err := listen(s.addr)
	if err != nil {
		s.t.Fatalf("event store: %v", errors.Join(err, server.Close()))
	}
	aside, err := listen("127.0.0.1:0")
	if err != nil {
		s.t.Fatalf("event store: %v", errors.Join(err, listener.Close(), server.Close()))
	}
	s.addr, s.aside = listener.Addr().String(), aside.Addr().String()
	s.faults.spare(s.aside)
	s.running, s.served = server, make(chan error, 2)
	for _, l := range []net.Listener{s.faults.connections.of(listener), aside} {
		go func(served chan<- error) { served <- server.Serve(l) }(s.served)
	}
}

// listen listens at an address. Between Stop and Start somebody else may have got the port, as one end of a connection or
// for a server of another test: it is waited for.
func listen(addr string) (net.Listener, error) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); ; <-again.C {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return listener, err
		}
	}
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
	for range cap(s.served) {
		if err := <-s.served; !errors.Is(err, esdbserver.ErrServerClosed) {
			s.t.Errorf("serve event store: %v", err)
		}
	}
	s.running = nil
}

// Addr is the host and port that the store answers on.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// ConnectionString is what the official client is given. In a secure store it is that of the administrator.
func (s *Server) ConnectionString() string { return s.connectionString(s.Addr()) }

func (s *Server) connectionString(addr string) string {
	if s.secure == nil {
		return "esdb://" + addr + "?tls=false"
	}
	return s.secure.connectionString(addr, "admin", cmp.Or(s.config.AdminPassword, esdbserver.DefaultPassword))
}

// Client connects the official client, silenced, and closes it when the test ends.
func (s *Server) Client(t testing.TB) *esdb.Client {
	t.Helper()
	return connect(t, s.ConnectionString())
}

// connect connects the official client, silenced, and closes it when the test ends.
func connect(t testing.TB, connectionString string) *esdb.Client {
	t.Helper()
	client := newClient(t, connectionString)
	t.Cleanup(func() { _ = client.Close() }) // never fails
	return client
}

func newClient(t testing.TB, connectionString string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(connectionString)
	if err != nil {
		t.Fatalf("connection string: %v", err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatalf("connect to event store: %v", err)
	}
	return client
}

// clientAside connects the official client to where no fault stands in its way. The caller closes it.
func (s *Server) clientAside(t testing.TB) *esdb.Client {
	t.Helper()
	s.mu.Lock()
	aside := s.aside
	s.mu.Unlock()
	return newClient(t, s.connectionString(aside))
}

// testWriter sends what the server logs to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", line)
	return len(line), nil
}
