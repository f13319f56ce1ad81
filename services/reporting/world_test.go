package reporting_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/reporting"
)

// world is a running reporting and the bus it listens on.
type world struct {
	url     string
	environ map[string]string
	bus     *sqlitebus.Bus
}

func newWorld(t *testing.T, settings map[string]string) *world {
	t.Helper()
	folder := t.TempDir()
	address := freeAddress(t)
	w := &world{url: "http://" + address, environ: map[string]string{
		"HTTP_ADDR": address, "DATABASE_URL": "sqlite://" + filepath.Join(folder, "reporting.db"),
		"EVENTBUS_URL": "sqlite://" + filepath.Join(folder, "bus.db"),
	}}
	for name, value := range settings {
		w.environ[name] = value
	}
	var err error
	if w.bus, err = sqlitebus.Open(t.Context(), sqlitebus.Config{Path: filepath.Join(folder, "bus.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // somebody else takes the port now
	return listener.Addr().String()
}

// start runs the service until the test ends or stop is called.
func (w *world) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- reporting.Run(ctx, service.Host{Environ: w.environ, Log: io.Discard}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	sqldbtest.Eventually(t, "ready", func() bool { return w.get(t, "/readyz", nil) == http.StatusOK })
	return stop
}

// get reads a resource into body, unless that is nil, and returns the status; 0
// when nobody answers.
func (w *world) get(t *testing.T, path string, body any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }() // it was read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		if err := json.Unmarshal(text, body); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, text)
		}
	}
	return response.StatusCode
}

// publish puts an event on the bus. Its id follows from what it says, so that
// publishing it again is a duplicate.
func (w *world) publish(t *testing.T, typ, subject string, sequence int64, data map[string]any) {
	t.Helper()
	at := time.Date(2025, 5, 1, 12, 0, int(sequence), 0, time.UTC)
	data["occurredAt"] = at
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	e := eventbus.Event{
		ID: cause.Derive(cause.Of(eventbus.Event{ID: subject}).ID, fmt.Sprint(typ, sequence)).String(), Source: "/orderflow/test",
		Type: typ, Subject: subject, Sequence: sequence, Time: at, CorrelationID: "correlation", Data: text,
	}
	if err := w.bus.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}
