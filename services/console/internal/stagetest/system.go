package stagetest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
)

// System is the seven services and what they have to tell. Its methods may be
// called while it is being asked.
type System struct {
	tb       testing.TB
	services map[string]*host

	mu      sync.Mutex
	orders  []*board.Order // newest first
	names   map[string]string
	traces  map[string]map[string][]service.TraceItem // by service and order
	letters map[string]int
	failing map[string]string
	figures string
	changed chan struct{} // closed when the figures change
	asked   map[string]int
	hanging map[string]chan struct{}
}

// host is where one service is served.
type host struct {
	addr   string
	server *httptest.Server
}

// New starts all services, with nothing to tell yet; they end with the test.
func New(tb testing.TB) *System {
	tb.Helper()
	s := &System{
		tb: tb, services: map[string]*host{}, names: map[string]string{},
		traces: map[string]map[string][]service.TraceItem{}, letters: map[string]int{}, failing: map[string]string{},
		figures: `{"ordersByStatus":{},"revenue":[],"timeToPack":null,"timeToDispatch":null}`,
		changed: make(chan struct{}), asked: map[string]int{}, hanging: map[string]chan struct{}{},
	}
	for _, name := range neighbours.Names() {
		s.traces[name] = map[string][]service.TraceItem{}
		s.services[name] = &host{addr: "127.0.0.1:0"}
		s.Start(name)
	}
	tb.Cleanup(func() {
		for _, name := range neighbours.Names() {
			s.Stop(name)
		}
	})
	return s
}

// Start serves a service at the address it had before.
func (s *System) Start(name string) {
	s.tb.Helper()
	h := s.services[name]
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", h.addr)
	if err != nil {
		s.tb.Fatal(err)
	}
	h.addr = listener.Addr().String()
	h.server = httptest.NewUnstartedServer(s.handler(name))
	_ = h.server.Listener.Close()
	h.server.Listener = listener
	h.server.Start()
}

// Stop ends a service: connections to it are refused.
func (s *System) Stop(name string) {
	s.Continue(name)
	h := s.services[name]
	if h.server == nil {
		return
	}
	h.server.CloseClientConnections()
	h.server.Close()
	h.server = nil
}

// Hang makes a service accept requests and never answer, until [System.Continue].
func (s *System) Hang(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging[name] = make(chan struct{})
}

// Continue lets a service that hangs answer.
func (s *System) Continue(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if waiting := s.hanging[name]; waiting != nil {
		close(waiting)
		delete(s.hanging, name)
	}
}

// Environ is the part of the environment that says where the services are.
func (s *System) Environ() map[string]string {
	environ := map[string]string{}
	for name, h := range s.services {
		environ[strings.ToUpper(name)+"_URL"] = "http://" + h.addr
	}
	return environ
}

// Neighbours returns the console's way to the services; it is closed with the test.
func (s *System) Neighbours() *neighbours.Neighbours {
	s.tb.Helper()
	var addresses neighbours.Addresses
	if err := (service.Host{Environ: s.Environ()}).Load(&addresses); err != nil {
		s.tb.Fatal(err)
	}
	n, err := neighbours.New(addresses)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(n.Close)
	return n
}

// Asked is how many requests a service has had.
func (s *System) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func (s *System) handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { s.serveReadiness(w, name) })
	mux.HandleFunc("GET /deadletters", func(w http.ResponseWriter, _ *http.Request) { s.serveLetters(w, name) })
	mux.HandleFunc("GET /trace/{id}", func(w http.ResponseWriter, r *http.Request) { s.serveTrace(w, name, r.PathValue("id")) })
	switch name {
	case neighbours.Order:
		mux.HandleFunc("GET /orders", s.serveOrders)
		mux.HandleFunc("GET /orders/{id}", s.serveOrder)
	case neighbours.CRM:
		mux.HandleFunc("GET /customers/{id}", s.serveCustomer)
	case neighbours.Reporting:
		mux.HandleFunc("GET /live", s.serveLive)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[name]++
		waiting := s.hanging[name]
		s.mu.Unlock()
		if waiting != nil {
			select {
			case <-waiting:
			case <-r.Context().Done():
			}
			return
		}
		mux.ServeHTTP(w, r)
	})
}
