package servicetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
)

// Service is a service under test.
type Service struct {
	// Environ holds the settings it starts with. A test may change them before
	// Start.
	Environ map[string]string

	t      *testing.T
	run    func(context.Context, service.Host) error
	bus    *sqlitebus.Bus
	client http.Client

	mu    sync.Mutex
	url   string
	log   bytes.Buffer
	heard []eventbus.Event
}

// New prepares a service, which does not run yet: run is the function that runs
// it, and database the URL of its database. The test hears the events of the
// patterns.
func New(t *testing.T, run func(context.Context, service.Host) error, database string, patterns ...string) *Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bus.db")
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := &Service{
		Environ: map[string]string{
			"HTTP_ADDR": "127.0.0.1:0", "DATABASE_URL": database, "EVENTBUS_URL": "sqlite://" + path, "LOG_LEVEL": "DEBUG",
		},
		t: t, run: run, bus: bus, client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Log())
		}
	})
	if len(patterns) > 0 {
		queue := eventbus.Queue{Name: "listener", Patterns: patterns}
		if _, err := bus.Subscribe(t.Context(), queue, s.hear); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// OnBothDatabases runs fn as a subtest with an empty SQLite file, and as another
// with an empty PostgreSQL database; see [sqldbtest.PostgresURL].
func OnBothDatabases(t *testing.T, fn func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, sqldbtest.SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, sqldbtest.PostgresURL(t)) })
}

// WithEventStore gives the service an event store of its own and returns that.
func (s *Service) WithEventStore(options ...esdbservertest.Option) *esdbservertest.Server {
	s.t.Helper()
	store := esdbservertest.New(s.t, options...)
	s.Environ["EVENTSTORE_URL"] = store.ConnectionString()
	return store
}

// Start runs the service until the test ends or stop is called, and returns when
// it is ready. A stopped service can be started again; its address is another
// one then.
func (s *Service) Start() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	host := service.Host{Environ: maps.Clone(s.Environ), Log: logWriter{s}, Listening: s.listening}
	go func() {
		err := s.run(ctx, host)
		if err != nil {
			s.t.Errorf("the service ended with %v", err)
		}
		ended <- err
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		s.listening("")
	})
	s.t.Cleanup(stop)
	sqldbtest.Eventually(s.t, "the service is ready", func() bool { return s.URL() != "" && s.ready() })
	return stop
}

// URL is where the service answers, without a slash at its end; empty while it
// does not run.
func (s *Service) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Log returns what the service has logged so far.
func (s *Service) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *Service) listening(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = ""
	if address != "" {
		s.url = "http://" + address
	}
}

type logWriter struct{ s *Service }

func (w logWriter) Write(line []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.log.Write(line)
}

// hear notes each event once: what is published again has the same id.
func (s *Service) hear(_ context.Context, batch []eventbus.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, delivery := range batch {
		known := func(e eventbus.Event) bool { return e.ID == delivery.Event.ID }
		if !slices.ContainsFunc(s.heard, known) {
			s.heard = append(s.heard, delivery.Event)
		}
	}
	return nil
}

// Said returns what the service has said on the bus so far, in the order of
// arrival, each event once.
func (s *Service) Said() []eventbus.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// Hears waits for the event of a type about a subject.
func (s *Service) Hears(typ, subject string) eventbus.Event {
	s.t.Helper()
	var found eventbus.Event
	sqldbtest.Eventually(s.t, typ+" about "+subject, func() bool {
		said := s.Said()
		i := slices.IndexFunc(said, func(e eventbus.Event) bool { return e.Type == typ && e.Subject == subject })
		if i >= 0 {
			found = said[i]
		}
		return i >= 0
	})
	return found
}

// Publish puts events on the bus, as the services around this one do.
func (s *Service) Publish(events ...eventbus.Event) {
	s.t.Helper()
	if err := s.bus.Publish(s.t.Context(), events...); err != nil {
		s.t.Fatal(err)
	}
}

// Replay puts events into one queue as history, as those who publish do.
func (s *Service) Replay(queue string, events ...eventbus.Event) {
	s.t.Helper()
	if err := s.bus.Send(s.t.Context(), queue, events...); err != nil {
		s.t.Fatal(err)
	}
}

// Event is an integration event as another service says it; its data gets the
// field occurredAt. All of it follows from the arguments, the id too, so that
// publishing it again is a duplicate; it happened sequence seconds after noon.
func Event(typ, subject string, sequence int64, data map[string]any) eventbus.Event {
	at := time.Date(2025, 5, 1, 12, 0, int(sequence), 0, time.UTC)
	stamped := maps.Clone(data)
	if stamped == nil {
		stamped = map[string]any{}
	}
	stamped["occurredAt"] = at
	text, err := json.Marshal(stamped)
	if err != nil {
		panic(err) // a test wrote something that is no JSON
	}
	publisher, _, _ := strings.Cut(typ, ".")
	id := cause.Derive(cause.Of(eventbus.Event{ID: subject}).ID, fmt.Sprint(typ, sequence))
	return eventbus.Event{
		ID: id.String(), Source: "/orderflow/" + publisher, Type: typ, Subject: subject, Sequence: sequence, Time: at,
		CorrelationID: "correlation-" + subject, CausationID: cause.Derive(id, "causation").String(), Data: text,
	}
}
