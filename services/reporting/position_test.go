package reporting_test

import (
	"net/http"
	"strings"
	"testing"

	"orderflow/pkg/position"
	"orderflow/pkg/service/servicetest"
)

func TestFiguresCanBeWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.Start()
	placed := servicetest.Event("order.events.placed.v1", orderID, 0, nil)
	w.Get("/summary?wait=10ms&after="+position.Of(placed).String()).Refused(http.StatusServiceUnavailable, "position-not-reached")
	w.place(orderID, 900)
	if a := w.Shows("/summary?", placed); !strings.Contains(string(a.Body), `"placed":1`) {
		t.Errorf("%s", a.Body)
	}
	const days = "/orders-per-day?from=2025-05-01&to=2025-05-01&"
	if a := w.Shows(days, placed); !strings.Contains(string(a.Body), `"orders":1`) {
		t.Errorf("%s", a.Body)
	}
	a := w.Call(http.MethodGet, days+"after="+position.Of(placed).String(), nil, "Accept", "text/csv").Want(http.StatusOK)
	if a.Header.Get("Orderflow-Behind") == "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("%v", a.Header)
	}
}
