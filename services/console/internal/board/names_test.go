package board

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/neighbours"
)

// crm is a crm that knows names as a test says, and counts the questions.
type crm struct {
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func (c *crm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.asked.Add(1)
	(*c.answer.Load())(w, r)
}

func (c *crm) says(answer http.HandlerFunc) { c.answer.Store(&answer) }

func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, `{"name":%q}`, name) }
}

func namesOf(t *testing.T) (*Names, *crm) {
	t.Helper()
	c := &crm{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	var addresses neighbours.Addresses
	if err := (service.Host{Environ: map[string]string{"CRM_URL": server.URL}}).Load(&addresses); err != nil {
		t.Fatal(err)
	}
	services, err := neighbours.New(addresses)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	return NewNames(services), c
}

// age makes everything the names know that much older.
func (n *Names) age(by time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rests = n.rests.Add(-by)
	for id, known := range n.known {
		n.known[id] = name{known.text, known.until.Add(-by)}
	}
}

func TestNameIsAskedOnceForManyOrders(t *testing.T) {
	names, c := namesOf(t)
	c.says(named("Ada"))
	for range 3 {
		names.Learn(t.Context(), []string{"a", "a", "", "a"})
	}
	if got := names.Known("a"); got != "Ada" || c.asked.Load() != 1 {
		t.Errorf("%q after %d questions", got, c.asked.Load())
	}
}

func TestForgottenCustomerLosesTheName(t *testing.T) {
	names, c := namesOf(t)
	c.says(named("Ada"))
	names.Learn(t.Context(), []string{"a"})
	c.says(named(""))
	names.age(nameLasts)
	names.Learn(t.Context(), []string{"a"})
	if got := names.Known("a"); got != "" {
		t.Errorf("still called %q", got)
	}
}

func TestNameThatCRMLearnsLaterIsFound(t *testing.T) {
	names, c := namesOf(t)
	c.says(http.NotFound)
	names.Learn(t.Context(), []string{"a"})
	c.says(named("Ada"))
	names.age(unnamedLasts)
	names.Learn(t.Context(), []string{"a"})
	if got := names.Known("a"); got != "Ada" {
		t.Errorf("called %q", got)
	}
}

func TestCRMThatFailsIsLeftAloneAndNamesStay(t *testing.T) {
	names, c := namesOf(t)
	c.says(named("Ada"))
	names.Learn(t.Context(), []string{"a"})
	names.age(nameLasts)
	c.says(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for range 5 {
		names.Learn(t.Context(), []string{"a"})
	}
	if got := names.Known("a"); got != "Ada" || c.asked.Load() != 2 {
		t.Errorf("%q after %d questions", got, c.asked.Load())
	}
	c.says(named("Ada Lovelace"))
	names.age(crmRests)
	names.Learn(t.Context(), []string{"a"})
	if got := names.Known("a"); got != "Ada Lovelace" {
		t.Errorf("called %q", got)
	}
}

func TestViewerWhoLeavesDoesNotBlameCRM(t *testing.T) {
	names, c := namesOf(t)
	c.says(named("Ada"))
	gone, leave := context.WithCancel(t.Context())
	leave()
	names.Learn(gone, []string{"a"})
	names.Learn(t.Context(), []string{"a"})
	if got := names.Known("a"); got != "Ada" {
		t.Errorf("called %q", got)
	}
}

func TestNamesDoNotGrowWithoutBounds(t *testing.T) {
	names, c := namesOf(t)
	c.says(named("Ada"))
	for i := range maxNames + 1 {
		names.known[fmt.Sprint(i)] = name{"somebody", time.Now().Add(time.Hour)}
	}
	names.Learn(t.Context(), []string{"a"})
	if len(names.known) != 1 || names.Known("a") != "Ada" {
		t.Errorf("%d names", len(names.known))
	}
}
