package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answering is a service that says no a number of times and then says that it is ready.
func answering(t *testing.T, noes int32) string {
	t.Helper()
	var left atomic.Int32
	left.Store(noes)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if left.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"ready":false,"checks":[{"name":"database","ok":false,"detail":"connection refused"},{"name":"bus","ok":true}]}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestWaitingTellsOfEachServiceOnceAndEndsWhenAllAreReady(t *testing.T) {
	told := map[string]int{}
	urls := map[string]string{"order": answering(t, 2), "crm": answering(t, 0)}
	if err := WaitReady(t.Context(), urls, nil, func(name string) { told[name]++ }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"order": 1, "crm": 1}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestGivingUpSaysWhatEachServiceWaitsFor(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	urls := map[string]string{"order": answering(t, 1<<30), "crm": gone.URL, "packing": answering(t, 0)}
	gone.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("gave up"))
	defer cancel()
	err := WaitReady(ctx, urls, nil, func(string) {})
	if err == nil {
		t.Fatal("counts as ready")
	}
	for _, text := range []string{"order", "crm does not answer", "gave up"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
}

func TestReasonIsWhatTheServiceSays(t *testing.T) {
	answers := Ask(t.Context(), map[string]string{"order": answering(t, 1)})
	if diff := cmp.Diff(map[string]Readiness{"order": {Reason: "database: connection refused"}}, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestSystemThatHasEndedIsNotWaitedFor(t *testing.T) {
	ended := make(chan error, 1)
	ended <- errors.New("exit status 1")
	err := WaitReady(t.Context(), map[string]string{"order": answering(t, 1<<30)}, ended, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("says %v", err)
	}
}
