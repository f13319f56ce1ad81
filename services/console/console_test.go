package console_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/service"
	"orderflow/services/console"
	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/stagetest"
)

// get asks the console; the body is decoded where target is given.
func (r *running) get(path string, target any) *http.Response {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = answer.Body.Close() })
	if target != nil {
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := json.Unmarshal(body, target); err != nil {
			r.t.Fatalf("%s: %v in %s", path, err, body)
		}
	}
	return answer
}

func TestConsoleTellsWhatTheServicesTell(t *testing.T) {
	system, j := busy(t)
	c := start(t, system)
	var page board.Page
	if answer := c.get("/api/orders?limit=2", &page); answer.StatusCode != http.StatusOK || len(page.Items) != 2 || page.NextCursor == "" {
		t.Errorf("%s: %+v", answer.Status, page)
	}
	if got := page.Items[0]; got.OrderID != j.OrderID || got.CustomerName != "Grace Hopper" || got.Status != "packed" {
		t.Errorf("the newest is %+v", got)
	}
	var health board.Health
	if answer := c.get("/api/health", &health); answer.StatusCode != http.StatusOK || len(health.Services) != 7 {
		t.Errorf("%s: %+v", answer.Status, health)
	}
	var way struct {
		Items []struct{ Service, Key string }
	}
	if answer := c.get("/api/orders/"+j.OrderID+"/timeline", &way); answer.StatusCode != http.StatusOK || len(way.Items) < 15 {
		t.Errorf("%s: %+v", answer.Status, way)
	}
}

func TestWrongQuestionsAreRefused(t *testing.T) {
	c := start(t, stagetest.New(t))
	for path, want := range map[string]int{
		"/api/orders?limit=0": 422, "/api/orders?limit=101": 422, "/api/orders?status=lost": 422, "/api/orders?cursor=bad": 422,
		"/api/orders?url=http://192.0.2.1/": 422, "/api/orders/1/timeline": 404, "/api/events?order=1": 422, "/api/": 404,
	} {
		var problem service.Problem
		if answer := c.get(path, &problem); answer.StatusCode != want || !strings.HasPrefix(problem.Type, "urn:orderflow:problem:") {
			t.Errorf("%s: %s %+v", path, answer.Status, problem)
		}
	}
}

func TestConsoleWorksWhileNobodyElseDoes(t *testing.T) {
	system := stagetest.New(t)
	c := start(t, system)
	for _, name := range neighbours.Names() {
		system.Stop(name)
	}
	if answer := c.get("/", nil); answer.StatusCode != http.StatusOK {
		t.Errorf("the page: %s", answer.Status)
	}
	if answer := c.get("/readyz", nil); answer.StatusCode != http.StatusOK {
		t.Errorf("readiness: %s", answer.Status)
	}
	var problem service.Problem
	if answer := c.get("/api/orders", &problem); answer.StatusCode != http.StatusServiceUnavailable || problem.Detail != "order does not answer: connection refused" {
		t.Errorf("%s: %+v", answer.Status, problem)
	}
	var health board.Health
	c.get("/api/health", &health)
	for _, s := range health.Services {
		if s.State != board.Unreachable {
			t.Errorf("%+v", s)
		}
	}
}

func TestNobodyIsAskedWhileNobodyLooks(t *testing.T) {
	system := stagetest.New(t)
	c := start(t, system)
	c.get("/", nil)
	for _, name := range neighbours.Names() {
		if n := system.Asked(name); n != 0 {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
	c.get("/api/events", nil)
	for _, name := range []string{neighbours.Order, neighbours.Reporting, neighbours.Packing} {
		eventually(t, name+" is asked", func() bool { return system.Asked(name) > 0 })
	}
}

func TestStreamsEndWhenTheConsoleStops(t *testing.T) {
	system, j := busy(t)
	c := start(t, system)
	streams := []*http.Response{c.get("/api/events", nil), c.get("/api/events?order="+j.OrderID, nil)}
	for _, stream := range streams {
		lines := bufio.NewReader(stream.Body)
		for line := ""; line != "event: health\n"; {
			var err error
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); c.stop() }()
	select {
	case <-stopped:
	case <-time.After(8 * time.Second): // less than the kit allows requests under way
		t.Fatal("the console waits for its streams")
	}
	for _, stream := range streams {
		if _, err := io.Copy(io.Discard, stream.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the stream ended with %v", err)
		}
	}
}

func TestAddressThatCannotWorkEndsTheConsole(t *testing.T) {
	err := console.Run(t.Context(), service.Host{Environ: map[string]string{"PACKING_URL": "packing"}, Log: io.Discard})
	if !errors.Is(err, service.ErrSettings) || err.Error() != "console: settings: PACKING_URL: not an absolute http URL" {
		t.Errorf("got %v", err)
	}
}
