package service_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/service"
)

// metrics reads /metrics: values by name, with labels as they are written.
func (w *world) metrics() map[string]float64 {
	w.t.Helper()
	values := map[string]float64{}
	for line := range strings.Lines(w.ask(http.MethodGet, "/metrics", "").body) {
		name, text, found := strings.Cut(strings.TrimSpace(line), " ")
		if value, err := strconv.ParseFloat(text, 64); found && err == nil && name != "#" {
			values[name] = value
		}
	}
	return values
}

// ours lists the metrics of this system that are shown, each once.
func (w *world) ours() []string {
	w.t.Helper()
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (orderflow_\w+) `).FindAllStringSubmatch(w.ask(http.MethodGet, "/metrics", "").body, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return names
}

// named lists the metrics that a text speaks of, each once, the parts of a histogram as the histogram.
func named(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\borderflow_[a-z_]+\b`).FindAllString(string(text), -1)
	for i := range names {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			names[i] = strings.TrimSuffix(names[i], part)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestMetricsAreThoseThatAreWrittenDown(t *testing.T) {
	o := newOperated(t)
	if diff := cmp.Diff(named(t, "doc.go"), o.ours()); diff != "" {
		t.Errorf("doc.go and /metrics (-doc +metrics):\n%s", diff)
	}
	for name, value := range o.metrics() {
		if value != value {
			t.Errorf("%s has no number", name)
		}
	}
}

func TestEveryMetricAnAlertSpeaksOfExists(t *testing.T) {
	o := newOperated(t)
	have := o.ours()
	alerts := named(t, "../../deploy/alerts.yml")
	if len(alerts) < 8 {
		t.Errorf("the alerts speak of %q only", alerts)
	}
	for _, name := range alerts {
		if strings.HasPrefix(name, "orderflow_fulfilment_") {
			continue // the order service's own, and looked at by its tests
		}
		if !slices.Contains(have, name) {
			t.Errorf("there is no metric %s", name)
		}
	}
}

func TestMetricsTellWhatWaitsForAPerson(t *testing.T) {
	o := newOperated(t)
	o.receive("in", "order.events.placed.v1")
	o.announce("nobody.commands.one.v1")
	o.commit("broken")
	o.commit("fine")
	o.eventually("all are parked", func() bool { return len(o.letters("").Items) == 3 })
	held := o.event("held", "order.events.cancelled.v1")
	held.Subject = "another"
	if err := o.bus.Publish(t.Context(), held, o.event("kept", "nobody.events.one.v1")); err != nil {
		t.Fatal(err)
	}
	o.eventually("one is held", func() bool { return len(o.letters("").Items) == 4 })
	var metrics map[string]float64
	o.eventually("the age of what is held grows", func() bool {
		metrics = o.metrics()
		return metrics["orderflow_inbox_held_age_seconds"] > 0 && metrics["orderflow_inbox_failed_total"] > 1 // parked, and held
	})
	for name, want := range map[string]float64{
		"orderflow_inbox_parked": 1, "orderflow_inbox_parked_total": 1, "orderflow_inbox_held": 1, "orderflow_inbox_held_total": 1,
		"orderflow_outbox_parked": 1, "orderflow_outbox_pending": 0, "orderflow_outbox_pending_age_seconds": 0,
		"orderflow_relay_parked_total": 1, "orderflow_bus_unroutable_total": 1, "orderflow_queue_dead_depth": 0,
	} {
		if got, ok := metrics[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, atLeastOne := range []string{
		"orderflow_bus_unrouted", "orderflow_bus_confirm_seconds_count", "orderflow_bus_handler_seconds_count", "orderflow_bus_lag_seconds_count",
		"orderflow_inbox_handler_seconds_count", `orderflow_bus_confirm_seconds_bucket{le="+Inf"}`,
	} {
		if metrics[atLeastOne] < 1 {
			t.Errorf("%s is %v", atLeastOne, metrics[atLeastOne])
		}
	}
}

func TestStreamsAreNotMeasuredAsRequests(t *testing.T) {
	w := newWorld(t)
	w.startReady(func(_ context.Context, svc *service.Service) {
		for path, kind := range map[string]string{"/stream": "text/event-stream; charset=utf-8", "/text": "text/plain"} {
			svc.Router.Get(path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				fmt.Fprint(w, "data: 1\n\n")
			})
		}
	})
	w.ask(http.MethodGet, "/stream", "")
	w.ask(http.MethodGet, "/text", "")
	metrics := w.metrics()
	count := func(route string) float64 {
		return metrics[`orderflow_http_request_duration_seconds_count{method="GET",route="`+route+`",status="200"}`]
	}
	if count("/text") != 1 || count("/stream") != 0 {
		t.Errorf("%v texts and %v streams were measured", count("/text"), count("/stream"))
	}
}
