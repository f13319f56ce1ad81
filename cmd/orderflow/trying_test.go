package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDemoTellsTheStoryOfFourOrders(t *testing.T) {
	w := newWorld(t)
	out := w.must("demo")
	for _, sentence := range []string{
		"on a system of its own",
		"Grace has packed it",
		"has on the order's stream that it is dispatched",
		"rejects it: only 12 cups left",
		"that it is cancelled: ordered by mistake",
		"takes it off the worklist",
		"writes: Your order",
		"that it is cancelled: not packed in time",
		"orders: 3 cancelled, 1 dispatched",
		"too late: 1 in packing, 0 in dispatch",
		"order.events.placed.v1",
		"dispatch.events.dispatched.v1",
		"All of it happened",
	} {
		if !strings.Contains(out, sentence) {
			t.Errorf("the story does not say %q:\n%s", sentence, out)
		}
	}
}

func TestDemoAndLoadUseWhatIsUp(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	for _, args := range [][]string{
		{"demo"},
		{"load", "--rate", "20", "--duration", "1s"},
		{"load", "--clients", "4", "--orders", "30"},
	} {
		out := w.must(args...)
		if !strings.Contains(out, "on the system that is up") {
			t.Errorf("%v started another one:\n%s", args, out)
		}
		// With the deadlines of a system that is no demonstration, nothing in the story is late, and the story says so.
		if args[0] == "demo" && (!strings.Contains(out, "late in 4h0m0s and not before") || !strings.Contains(out, "too late: 0 in packing")) {
			t.Errorf("the story and the figures do not agree:\n%s", out)
		}
	}
	w.must("status")
}

func TestLoadAccountsForEveryOrder(t *testing.T) {
	w := newWorld(t)
	out := w.must("load", "--rate", "20", "--duration", "1s")
	if !strings.Contains(out, "accepted                       20\n") || !strings.Contains(out, "from 201 to reporting") {
		t.Errorf("at a rate:\n%s", out)
	}
	out = w.must("load", "--clients", "4", "--orders", "30")
	for _, want := range []string{"30, ", "packing complete", "crm complete", "reporting complete"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing with clients:\n%s", want, out)
		}
	}
}

func TestLoadThatMeasuresNothingIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{
		{"load", "--rate", "0"},
		{"load", "--clients=-1"},
		{"load", "--rate", "1", "--duration", "1ms"},
		{"load", "--clients", "1", "--orders", "0"},
	} {
		if s := w.orderflow(args...); s.code != 1 || !strings.Contains(s.err, "--") {
			t.Errorf("%v: %+v", args, s)
		}
	}
}

func TestHealthIsTheExitCode(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	health := func() int {
		return run(t.Context(), []string{"health", server.URL + "/readyz"}, terminal{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
	}
	if code := health(); code != 0 {
		t.Errorf("ready: exit code %d", code)
	}
	status = http.StatusServiceUnavailable
	if code := health(); code != 1 {
		t.Errorf("not ready: exit code %d", code)
	}
	server.Close()
	if code := health(); code != 1 {
		t.Errorf("not there: exit code %d", code)
	}
}
