package neighbours_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/neighbours"
)

// at returns neighbours of which order is served by a handler.
func at(t *testing.T, handler http.HandlerFunc) *neighbours.Neighbours {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return with(t, server.URL)
}

// with returns neighbours of which order has the address given.
func with(t *testing.T, order string) *neighbours.Neighbours {
	t.Helper()
	var addresses neighbours.Addresses
	if err := (service.Host{Environ: map[string]string{"ORDER_URL": order}}).Load(&addresses); err != nil {
		t.Fatal(err)
	}
	n, err := neighbours.New(addresses)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func TestAddressThatCannotWorkNamesItsVariable(t *testing.T) {
	for _, address := range []string{"", "order:8082", "ftp://order", "http://", "://", "/orders"} {
		_, err := neighbours.New(neighbours.Addresses{
			Customer: "http://a", Catalog: "http://a", Order: address, Packing: "http://a",
			Dispatch: "http://a", CRM: "http://a", Reporting: "http://a",
		})
		if !errors.Is(err, service.ErrSettings) || !strings.Contains(err.Error(), "ORDER_URL") {
			t.Errorf("%q gives %v", address, err)
		}
	}
}

func TestPortIsWherePeopleReachAService(t *testing.T) {
	for address, want := range map[string]string{"http://order:9000/base": "9000", "http://order": "80", "https://order": "443"} {
		if got := with(t, address).Port(neighbours.Order); got != want {
			t.Errorf("%s: port %s, want %s", address, got, want)
		}
	}
}

func TestAddressMayHaveAPath(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI()
		_, _ = w.Write([]byte(`{}`))
	}))
	defer server.Close()
	var answer struct{}
	if err := with(t, server.URL+"/base/").Get(t.Context(), neighbours.Order, "/orders?limit=1", &answer); err != nil {
		t.Fatal(err)
	}
	if asked != "/base/orders?limit=1" {
		t.Errorf("asked for %s", asked)
	}
}

func TestErrorsNameTheServiceAndWhatAilsIt(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"refusal with a problem": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"detail":"the service is starting"}`))
		}, "order answers 503: the service is starting"},
		"refusal without words": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}, "order answers 418"},
		"unknown": {http.NotFound, "order knows nothing of it"},
		"not JSON": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<html>`))
		}, "order answers with something else than expected"},
		"too much": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(" ", 4<<20+1)))
		}, "order answers with more than 4 MiB"},
		"redirect, which is not followed": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/elsewhere", http.StatusFound)
		}, "order answers 302"},
		"cut off": {func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, "order does not answer: "},
	} {
		t.Run(name, func(t *testing.T) {
			var answer map[string]any
			err := at(t, c.handler).Get(t.Context(), neighbours.Order, "/orders", &answer)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestServiceThatIsNotThereIsUnanswered(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	err := with(t, server.URL).Get(t.Context(), neighbours.Order, "/orders", nil)
	if !errors.Is(err, neighbours.ErrUnanswered) || err.Error() != "order does not answer: connection refused" {
		t.Errorf("got %v", err)
	}
}

func TestServiceThatHangsIsUnansweredInTime(t *testing.T) {
	done := make(chan struct{})
	n := at(t, func(http.ResponseWriter, *http.Request) { <-done })
	defer close(done)
	err := n.Get(t.Context(), neighbours.Order, "/orders", nil)
	if !errors.Is(err, neighbours.ErrUnanswered) || !strings.HasSuffix(err.Error(), "within 2s") {
		t.Errorf("got %v", err)
	}
}
