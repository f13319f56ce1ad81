package reporting_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
)

const (
	orderID = "01928f40-0a1b-7c2d-8e3f-405162738495"
	other   = "01928f40-77aa-7b01-9c3d-aabbccddeeff"
)

func (w *world) place(order string, amount int64) {
	w.t.Helper()
	w.hears("order.events.placed.v2", order, 0, map[string]any{"orderId": order, "currency": "EUR", "total": amount})
}

// text gets a path with an Accept header, as text.
func (w *world) text(path, accept string) (text, contentType string) {
	w.t.Helper()
	a := w.Call(http.MethodGet, path, nil, "Accept", accept)
	return string(a.Body), a.Header.Get("Content-Type")
}

func TestFiguresAreShownOverHTTP(t *testing.T) {
	w := newWorld(t)
	stop := w.Start()
	empty := `{"ordersByStatus":{"placed":0,"packed":0,"dispatched":0,"cancelled":0},"revenue":[],` +
		`"timeToPack":{"medianMs":null,"p95Ms":null},"timeToDispatch":{"medianMs":null,"p95Ms":null},"delayed":{"packing":0,"dispatch":0},"returned":0}` + "\n"
	if got, contentType := w.text("/summary", ""); got != empty || contentType != "application/json" {
		t.Errorf("%s %s", contentType, cmp.Diff(empty, got))
	}
	w.place(orderID, 900)
	w.place(orderID, 900)
	w.place(other, 50)
	w.hears("packing.events.packed.v1", orderID, 3, map[string]any{})
	w.hears("order.events.cancelled.v1", other, 2, map[string]any{})
	want := `{"ordersByStatus":{"placed":0,"packed":1,"dispatched":0,"cancelled":1},"revenue":[{"amount":900,"currency":"EUR"}],` +
		`"timeToPack":{"medianMs":3000,"p95Ms":3000},"timeToDispatch":{"medianMs":null,"p95Ms":null},"delayed":{"packing":0,"dispatch":0},"returned":0}` + "\n"
	shown := func() bool {
		got, _ := w.text("/summary", "application/json")
		return got == want
	}
	sqldbtest.Eventually(t, "the orders are counted", shown)

	const days = "/orders-per-day?from=2025-04-30&to=2025-05-01"
	if got, contentType := w.text(days, ""); contentType != "application/json" ||
		got != `{"items":[{"day":"2025-04-30","orders":0,"revenue":[]},{"day":"2025-05-01","orders":2,"revenue":[{"amount":900,"currency":"EUR"}]}]}`+"\n" {
		t.Errorf("%s %s", contentType, got)
	}
	for accept, wantType := range map[string]string{
		"text/csv": "text/csv; charset=utf-8", "text/csv, application/json;q=0.5": "text/csv; charset=utf-8",
		"application/json, text/csv;q=0.5": "application/json", "*/*": "application/json", "image/png": "application/json",
	} {
		if _, got := w.text(days, accept); got != wantType {
			t.Errorf("Accept %s: %s", accept, got)
		}
	}
	if got, _ := w.text(days, "text/csv"); got != "day,orders,currency,amount\n2025-04-30,0,,0\n2025-05-01,2,EUR,900\n" {
		t.Errorf("csv %q", got)
	}

	var trace service.Trace
	if w.Get("/trace/"+orderID).Into(&trace).Status != http.StatusOK || len(trace.Items) != 3 {
		t.Errorf("%+v", trace)
	}
	var ledger service.Page[service.LedgerRow]
	w.Get("/ledger").Into(&ledger)
	got := map[string]int64{}
	for _, row := range ledger.Items {
		got[row.Kind+" "+row.Subject] = row.LastSequence
	}
	if diff := cmp.Diff(map[string]int64{"order " + orderID: 0, "order " + other: 2}, got); diff != "" {
		t.Error(diff)
	}
	stop()
	w.Start()
	sqldbtest.Eventually(t, "the figures outlive the process", shown)
}

func TestRangeThatMakesNoSenseIsRefused(t *testing.T) {
	w := newWorld(t)
	w.Start()
	for path, want := range map[string]string{
		"/orders-per-day?from=2025-05-02&to=2025-05-01": "query.to",
		"/orders-per-day?from=2020-01-01&to=2025-01-01": "query.from",
		"/orders-per-day?from=2025-13-01":               "query.from",
		"/orders-per-day?day=2025-01-01":                "query.day",
	} {
		var problem service.Problem
		if status := w.Get(path).Into(&problem).Status; status != http.StatusUnprocessableEntity || len(problem.Errors) != 1 || problem.Errors[0].Location != want {
			t.Errorf("%s: %d %+v", path, status, problem)
		}
	}
	var days struct{ Items []any }
	if status := w.Get("/orders-per-day").Into(&days).Status; status != http.StatusOK || len(days.Items) != 30 {
		t.Errorf("%d, %d days", status, len(days.Items))
	}
}

func TestStreamShowsOrdersAsTheyComeAndEndsWithTheService(t *testing.T) {
	w := newWorld(t)
	stop := w.Start()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL()+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it ends by itself
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %s", got)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() (placed int64) {
		name := ""
		for lines.Scan() {
			text := lines.Text()
			if value, ok := strings.CutPrefix(text, "event: "); ok {
				name = value
			}
			if data, ok := strings.CutPrefix(text, "data: "); ok {
				var summary struct{ OrdersByStatus struct{ Placed int64 } }
				if err := json.Unmarshal([]byte(data), &summary); err != nil || name != "summary" {
					t.Fatalf("%s %s: %v", name, data, err)
				}
				return summary.OrdersByStatus.Placed
			}
		}
		return -1
	}
	if got := next(); got != 0 {
		t.Fatalf("at once: %d", got)
	}
	w.place(orderID, 900)
	if got := next(); got != 1 {
		t.Fatalf("after one order: %d", got)
	}
	w.place(other, 900)
	if got := next(); got != 2 {
		t.Fatalf("after two orders: %d", got)
	}
	stop() // does not wait for the client
	if got := next(); got != -1 {
		t.Fatalf("after the end: %d", got)
	}
}

func TestDescriptionHasBothFormsOfTheTableAndTheStream(t *testing.T) {
	w := newWorld(t)
	w.Start()
	var api struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	w.Get("/openapi.json").Into(&api)
	for path, types := range map[string][]string{"/orders-per-day": {"application/json", "text/csv"}, "/live": {"text/event-stream"}, "/summary": {"application/json"}} {
		for _, contentType := range types {
			if api.Paths[path]["get"].Responses["200"].Content[contentType] == nil {
				t.Errorf("%s is not described as %s", path, contentType)
			}
		}
	}
}
