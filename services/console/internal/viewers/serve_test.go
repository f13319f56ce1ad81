package viewers

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/service"
)

// once is a source with one state.
func once(state any) Source {
	return func(ctx context.Context, emit func(any) bool) {
		emit(state)
		<-ctx.Done()
	}
}

// served returns the address of a service that streams some topics.
func served(t *testing.T, hub *Hub) string {
	t.Helper()
	svc, err := service.New("console", "", service.Host{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	Serve(svc, hub, Topics{
		Orders:   func(status string) Source { return once("orders " + status) },
		Summary:  once("figures"),
		Health:   once("health"),
		Timeline: func(orderID string) Source { return once("way of " + orderID) },
	})
	server := httptest.NewServer(svc.Router)
	t.Cleanup(server.Close)
	return server.URL + "/api/events"
}

// ask opens an address until the test ends, or its context does.
func ask(ctx context.Context, t *testing.T, method, address string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// read reads events until it has those that are wanted, each a name and data.
func read(t *testing.T, body io.Reader, wanted ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, w := range wanted {
		missing[w] = true
	}
	event := ""
	for lines := bufio.NewScanner(body); len(missing) > 0; {
		if !lines.Scan() {
			t.Fatalf("the stream ended (%v) without %v", lines.Err(), missing)
		}
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			delete(missing, event+" "+data)
		}
	}
}

func TestBrowserHearsEverythingItChose(t *testing.T) {
	const order = "0198c0de-0000-7000-8000-000000000001"
	answer := ask(t.Context(), t, http.MethodGet, served(t, NewHub())+"?status=packed&order="+order)
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %s", got)
	}
	read(t, answer.Body, `orders "orders packed"`, `summary "figures"`, `health "health"`, `timeline "way of `+order+`"`)
}

func TestBrowserHearsTheServersTimeFirst(t *testing.T) {
	answer := ask(t.Context(), t, http.MethodGet, served(t, NewHub()))
	first, err := bufio.NewReader(answer.Body).ReadString('\n')
	if err != nil || first != "event: beat\n" {
		t.Errorf("first comes %q, %v", first, err)
	}
}

func TestOnlyOrdersAndStatusesCanBeChosen(t *testing.T) {
	address := served(t, NewHub())
	for _, query := range []string{"?order=1", "?order=../../etc", "?order=0198C0DE-0000-7000-8000-000000000001", "?status=lost"} {
		answer := ask(t.Context(), t, http.MethodGet, address+query)
		if answer.StatusCode != http.StatusUnprocessableEntity || answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %s", query, answer.Status, answer.Header.Get("Content-Type"))
		}
	}
}

func TestHeadDoesNotLook(t *testing.T) {
	hub := NewHub()
	answer := ask(t.Context(), t, http.MethodHead, served(t, hub))
	if answer.StatusCode != http.StatusOK || len(hub.topics) != 0 {
		t.Errorf("%s, %d topics", answer.Status, len(hub.topics))
	}
}

func TestNothingRunsWhenTheLastBrowserIsGone(t *testing.T) {
	hub := NewHub()
	address := served(t, hub)
	before := goleak.IgnoreCurrent()
	ctx, leave := context.WithCancel(t.Context())
	for range 3 {
		read(t, ask(ctx, t, http.MethodGet, address).Body, `health "health"`)
	}
	leave()
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before) // waits for those that are about to end
	hub.mu.Lock()
	defer hub.mu.Unlock()
	if len(hub.topics) != 0 {
		t.Errorf("%d topics are still looked after", len(hub.topics))
	}
}

func TestTooManyBrowsersAreTurnedAway(t *testing.T) {
	address := served(t, NewHub())
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for range MaxViewers {
		if answer := ask(ctx, t, http.MethodGet, address); answer.StatusCode != http.StatusOK {
			t.Fatal(answer.Status)
		}
	}
	answer := ask(ctx, t, http.MethodGet, address)
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("the one too many: %s", answer.Status)
	}
}
