package catalog_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/sqldb/sqldbtest"
)

// Operators see and steer what is told again over HTTP; what a consumer hears is
// what it heard then.
func TestHistoryIsToldToOneConsumerOverHTTP(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		for i := range 5 {
			w.Call(http.MethodPost, "/products", fmt.Sprintf(`{"sku":"s%d","name":"S","price":{"amount":1,"currency":"EUR"}}`, i))
		}
		sqldbtest.Eventually(t, "all are announced", func() bool { return len(w.Said()) == 5 })
		w.Call(http.MethodPost, "/replays", `{"to":"nobody"}`).Refused(http.StatusNotFound, "unknown-queue")
		w.Get("/queues/nobody").Refused(http.StatusNotFound, "unknown-queue")
		w.Call(http.MethodPost, "/replays", `{"to":"unrouted"}`).Refused(http.StatusUnprocessableEntity, "invalid-request")
		w.Call(http.MethodPost, "/replays", `{}`).Refused(http.StatusUnprocessableEntity, "invalid-request")
		w.Call(http.MethodPost, "/replays", `{"to":"listener","rate":-1}`).Refused(http.StatusUnprocessableEntity, "invalid-request")
		w.Get("/replays/x").Refused(http.StatusNotFound, "not-found")
		w.Call(http.MethodPost, "/replays/x/pause", nil).Refused(http.StatusNotFound, "not-found")
		if got := w.Get("/replays").Fields()["items"]; fmt.Sprint(got) != "[]" {
			t.Errorf("left behind: %v", got)
		}

		begun := w.Call(http.MethodPost, "/replays", `{"to":"listener"}`)
		if begun.Status != http.StatusOK {
			t.Fatalf("%d: %s", begun.Status, begun.Body)
		}
		path := "/replays/" + begun.Fields()["replayId"].(string)
		sqldbtest.Eventually(t, "it is done", func() bool { return w.Get(path).Fields()["status"] == "done" })
		done := w.Get(path).Fields()
		for field, want := range map[string]any{"to": "listener", "sent": 5.0, "progress": 1.0, "position": 5.0, "end": 5.0, "leftSeconds": 0.0} {
			if diff := cmp.Diff(want, done[field]); diff != "" {
				t.Errorf("%s: %s", field, diff)
			}
		}
		w.Call(http.MethodPost, path+"/cancel", nil).Refused(http.StatusConflict, "replay-over")
		sqldbtest.Eventually(t, "the queue is empty", func() bool { return w.Get("/queues/listener").Fields()["waiting"] == 0.0 })
		if got := w.Get("/queues/listener").Fields()["patterns"]; fmt.Sprint(got) != "[catalog.events.#]" {
			t.Errorf("takes %v", got)
		}
	})
}
