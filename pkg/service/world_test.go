package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

// world is one service that runs in the test's process.
type world struct {
	t       testing.TB
	addr    string
	environ map[string]string
	log     *logText
	client  *http.Client

	stop func() error // ends the service and returns what Run did
}

// logText is what a service logged.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, log: &logText{}}
	w.environ = map[string]string{
		"HTTP_ADDR":    "127.0.0.1:0",
		"DATABASE_URL": "sqlite://" + filepath.Join(dir, "new", "test.db"),
		"EVENTBUS_URL": "sqlite://" + filepath.Join(dir, "bus", "bus.db"),
		"LOG_LEVEL":    "DEBUG",
	}
	w.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	return w
}

func (w *world) host() service.Host { return service.Host{Environ: maps.Clone(w.environ), Log: w.log} }

// start runs a service that build has put together, until the test ends.
func (w *world) start(build func(ctx context.Context, svc *service.Service)) {
	w.t.Helper()
	host, address := w.host(), make(chan string, 1)
	host.Listening = func(listening string) { address <- listening }
	svc, err := service.New("test", "127.0.0.1:1", host)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	build(ctx, svc)
	if err := svc.Refused(); err != nil {
		cancel()
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	w.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	w.t.Cleanup(func() {
		if err := w.stop(); err != nil {
			w.t.Errorf("run: %v", err)
		}
		if w.t.Failed() {
			w.t.Log(w.log.String())
		}
	})
	select {
	case w.addr = <-address:
	case err := <-ended:
		ended <- err // for stop
		w.t.Fatalf("run: %v", err)
	}
	w.eventually("the service lives", func() bool { return w.try(http.MethodGet, "/livez") == http.StatusOK })
}

// startReady is start, and waits until the service is ready.
func (w *world) startReady(build func(ctx context.Context, svc *service.Service)) {
	w.t.Helper()
	w.start(build)
	w.eventually("the service is ready", func() bool { return w.try(http.MethodGet, "/readyz") == http.StatusOK })
}

func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("never: %s\n%s", what, w.log)
		}
	}
}

// try asks and returns the status, or 0.
func (w *world) try(method, path string) int {
	request, err := http.NewRequestWithContext(context.Background(), method, "http://"+w.addr+path, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request; headers are "Name: value".
func (w *world) ask(method, path, body string, headers ...string) answer {
	w.t.Helper()
	a, err := w.askErr(method, path, body, headers...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) askErr(method, path, body string, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, "http://"+w.addr+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	if body != "" && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := w.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// as reads the body.
func as[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return v
}

// problem reads the body as a problem document, and checks its form.
func problem(t testing.TB, a answer) service.Problem {
	t.Helper()
	p := as[service.Problem](t, a)
	if p.Status != a.status || a.header.Get("Content-Type") != "application/problem+json" ||
		!strings.HasPrefix(p.Type, "urn:orderflow:problem:") || p.Title == "" {
		t.Errorf("no problem document: %d %s %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	return p
}

// code is the last part of a problem's type.
func code(p service.Problem) string { return strings.TrimPrefix(p.Type, "urn:orderflow:problem:") }

// fields lists what is at fault.
func fields(p service.Problem) string {
	var list []string
	for _, e := range p.Errors {
		list = append(list, fmt.Sprintf("%s: %s", e.Location, e.Message))
	}
	return strings.Join(list, "\n")
}
