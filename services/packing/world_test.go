package packing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/packing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the service in its own little world: a bus on which the test plays
// the other services and hears what this one says.
type world struct {
	t       *testing.T
	bus     *sqlitebus.Bus
	environ map[string]string
	client  http.Client

	mu    sync.Mutex
	heard []eventbus.Event
}

// each runs fn on SQLite, and on PostgreSQL where one answers.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, newWorld(t, sqldbtest.SQLiteURL(t))) })
	t.Run("postgres", func(t *testing.T) { fn(t, newWorld(t, sqldbtest.PostgresURL(t))) })
}

func newWorld(t *testing.T, database string) *world {
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
	w := &world{
		t: t, bus: bus,
		environ: map[string]string{
			"HTTP_ADDR": freeAddress(t), "DATABASE_URL": database, "EVENTBUS_URL": "sqlite://" + path, "LOG_LEVEL": "WARN",
		},
		client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	listen := eventbus.Queue{Name: "listener", Patterns: []string{"packing.events.#"}}
	if _, err := bus.Subscribe(t.Context(), listen, w.hear); err != nil {
		t.Fatal(err)
	}
	return w
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // it was never used
	return listener.Addr().String()
}

// start runs the service until the test or stop ends it, and returns when it is
// ready.
func (w *world) start() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- packing.Run(ctx, service.Host{Environ: w.environ, Log: w.t.Output()}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	sqldbtest.Eventually(w.t, "the service is ready", func() bool {
		response, err := w.client.Get("http://" + w.environ["HTTP_ADDR"] + "/readyz")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	return stop
}

// hear notes each event once: what is published again has the same id.
func (w *world) hear(_ context.Context, batch []eventbus.Delivery) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, delivery := range batch {
		known := func(e eventbus.Event) bool { return e.ID == delivery.Event.ID }
		if !slices.ContainsFunc(w.heard, known) {
			w.heard = append(w.heard, delivery.Event)
		}
	}
	return nil
}

// said returns what the service has said on the bus so far.
func (w *world) said() []eventbus.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.heard)
}

func (w *world) publish(events ...eventbus.Event) {
	w.t.Helper()
	if err := w.bus.Publish(w.t.Context(), events...); err != nil {
		w.t.Fatal(err)
	}
}

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// call sends a request, with headers given as "Name: value".
func (w *world) call(method, path, body string, headers ...string) answer {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.environ["HTTP_ADDR"]+path, bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := w.client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read
	a := answer{status: response.StatusCode, header: response.Header}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return a
}

// items returns the given field of every item of a list.
func (a answer) items(field string) []string {
	list, _ := a.body["items"].([]any)
	fields := []string{}
	for _, item := range list {
		text, _ := item.(map[string]any)[field].(string)
		fields = append(fields, text)
	}
	return fields
}

// refused checks that the answer is a problem with this status and code, and,
// where a field is at fault, that it names it.
func (a answer) refused(t *testing.T, status int, code string, locations ...string) {
	t.Helper()
	if a.status != status || a.body["type"] != "urn:orderflow:problem:"+code {
		t.Errorf("got %d %v, want %d %s", a.status, a.body, status, code)
	}
	for i, location := range locations {
		errors, _ := a.body["errors"].([]any)
		if i >= len(errors) || errors[i].(map[string]any)["location"] != location {
			t.Errorf("got errors %v, want %s", errors, locations)
		}
	}
}
