package verify

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// asking puts a question to a server that gives these answers, one after the
// other, the last one again and again.
func asking(t *testing.T, lag time.Duration, answers ...http.HandlerFunc) error {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[min(int(asked.Add(1)), len(answers))-1](w, r)
	}))
	defer server.Close()
	services := client.New(map[string]string{"crm": server.URL}, 1)
	defer services.Close()
	v := &Verifier{Client: services, Lag: lag}
	return v.ask(t.Context(), "crm", func(ctx context.Context) error {
		_, _, err := services.LedgerPage(ctx, "crm", "", 1)
		return err
	})
}

// An instance that is started again is away for a moment: that is neither a fault
// nor a reason to give up.
func TestAServiceThatStartsAgainIsAskedAgain(t *testing.T) {
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	starting := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "starting", http.StatusServiceUnavailable) }
	fine := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"items":[]}`)) }
	if err := asking(t, time.Hour, hangUp, starting, fine); err != nil {
		t.Error(err)
	}

	broken := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"detail":"no such table"}`, http.StatusInternalServerError)
	}
	for name, err := range map[string]error{
		"one that stays away":          asking(t, time.Millisecond, starting),
		"one that says it is at fault": asking(t, time.Hour, broken),
	} {
		if away, ok := errors.AsType[*CannotLookError](err); !ok || away.Where != "crm" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
