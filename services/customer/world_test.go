package customer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/customer"
)

// world is the customer service with an event store, a bus and a database of its
// own. The tests speak HTTP with it, and are its neighbours on the bus.
type world struct {
	t     *testing.T
	url   string
	store *esdbservertest.Server
	dir   string // where the event store keeps its files
	log   *lines

	mu        sync.Mutex
	announced []eventbus.Event
}

// start runs the service until the test ends, and waits until it is ready.
func start(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{
		Path: filepath.Join(t.TempDir(), "bus.db"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := &world{t: t, store: esdbservertest.New(t, esdbservertest.InDir(dir)), dir: dir, log: &lines{}}
	queue := eventbus.Queue{Name: "listener", Patterns: []string{"customer.events.#"}}
	if _, err := bus.Subscribe(t.Context(), queue, w.hear); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	w.url = "http://" + address
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	host := service.Host{
		Environ: map[string]string{
			"HTTP_ADDR": address, "DATABASE_URL": sqldbtest.SQLiteURL(t), "EVENTSTORE_URL": w.store.ConnectionString(),
			"EVENTBUS_URL": "sqlite://given-below", "LOG_LEVEL": "DEBUG",
		},
		Log: w.log,
		OpenBus: func(context.Context, string, string, *slog.Logger) (eventbus.Bus, error) {
			return keptOpen{bus}, nil
		},
	}
	go func() { done <- customer.Run(ctx, host) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := bus.Close(end); err != nil {
			t.Error(err)
		}
	})
	sqldbtest.Eventually(t, "ready", func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
	return w
}

// keptOpen is a bus that the service does not close.
type keptOpen struct{ eventbus.Bus }

func (keptOpen) Close(context.Context) error { return nil }

// lines keeps what the service logs.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // it has done its work
	return listener.Addr().String()
}

// hear is what other services do with the events of this one.
func (w *world) hear(_ context.Context, batch []eventbus.Delivery) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, delivery := range batch {
		w.announced = append(w.announced, delivery.Event)
	}
	return nil
}

// heard waits for the event of a type about a customer.
func (w *world) heard(typ, id string) eventbus.Event {
	w.t.Helper()
	var found eventbus.Event
	sqldbtest.Eventually(w.t, typ+" about "+id, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		i := slices.IndexFunc(w.announced, func(e eventbus.Event) bool { return e.Type == typ && e.Subject == id })
		if i >= 0 {
			found = w.announced[i]
		}
		return i >= 0
	})
	return found
}

type fields = map[string]any

// answer is what the service said.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call sends a request; a body that is a string is sent as it is. headers are
// names and values in turn.
func (w *world) call(method, path string, body any, headers ...string) answer {
	w.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(w.t.Context()), method, w.url+path, content)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Error(err) // also from other goroutines
		return answer{t: w.t}
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Error(err)
	}
	return answer{w.t, response.StatusCode, response.Header, text}
}

// want fails the test unless the status is this one.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// refused fails the test unless this is the problem with that code, which
// blames these fields.
func (a answer) refused(status int, code string, locations ...string) answer {
	a.t.Helper()
	a.want(status)
	var problem struct {
		Type   string
		Status int
		Errors []struct{ Location, Message string }
	}
	a.into(&problem)
	if problem.Type != "urn:orderflow:problem:"+code || problem.Status != status ||
		a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Errorf("want %s, got %s: %s", code, a.header.Get("Content-Type"), a.body)
	}
	var got []string
	for _, e := range problem.Errors {
		got = append(got, e.Location)
	}
	if len(locations) > 0 && !slices.Equal(got, locations) {
		a.t.Errorf("blames %q, want %q: %s", got, locations, a.body)
	}
	return a
}

func (a answer) into(target any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, target); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
}

func (a answer) str(name string) string {
	var body map[string]any
	if json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	text, _ := body[name].(string)
	return text
}

func ann() fields {
	return fields{"name": "Ann Doe", "email": "ann@example.com", "address": delft()}
}

func delft() fields {
	return fields{"line1": "Marktweg 17", "city": "Delft", "postcode": "2611 GP", "country": "NL"}
}

// registered is a customer who has just been registered.
func (w *world) registered() string {
	w.t.Helper()
	return w.call("POST", "/customers", ann()).want(http.StatusCreated).str("customerId")
}
