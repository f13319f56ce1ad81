package reporting_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/reporting"
)

// The figures are made anew beside the live ones, from history that is told
// again, while new orders are counted.
func TestTheFiguresAreRebuiltWhileOrdersAreCounted(t *testing.T) {
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) {
		s := servicetest.New(t, reporting.Run, database)
		s.Start()
		var history []eventbus.Event
		say := func(typ, subject string, sequence int64, data map[string]any) {
			e := servicetest.Event(typ, subject, sequence, data)
			e.Time = time.Now().UTC() // one on its way is told by it from one that an inbox has forgotten
			history = append(history, e)
			s.Publish(e)
		}
		order := func() {
			id := uuid.Must(uuid.NewV7()).String()
			say("order.events.placed.v1", id, 0, map[string]any{"orderId": id, "total": map[string]any{"amount": 100, "currency": "EUR"}})
			say("packing.events.packed.v1", id, 3, map[string]any{})
		}
		counted := func(orders int) {
			t.Helper()
			want := fmt.Sprintf(`"revenue":[{"amount":%d,"currency":"EUR"}]`, orders*100)
			sqldbtest.Eventually(t, "the orders are counted", func() bool {
				body := string(s.Get("/summary").Body)
				return strings.Contains(body, fmt.Sprintf(`"packed":%d,`, orders)) && strings.Contains(body, want)
			})
		}
		becomes := func(status string) map[string]any {
			t.Helper()
			var state map[string]any
			sqldbtest.Eventually(t, "the rebuild is "+status, func() bool {
				state = s.Get("/rebuild").Fields()
				return state["status"] == status
			})
			return state
		}
		for range 20 {
			order()
		}
		say("customer.events.created.v1", uuid.NewString(), 0, map[string]any{})
		say("catalog.events.price_changed.v1", "mug", 2, map[string]any{"newPrice": map[string]any{"amount": 5, "currency": "EUR"}})
		counted(20)
		if state := s.Get("/rebuild").Fields(); state["status"] != "none" {
			t.Errorf("before: %v", state)
		}
		s.Call(http.MethodPost, "/rebuild/finish", map[string]any{"ask": "swap"}).Refused(http.StatusConflict, "rebuild-not-now")
		s.Call(http.MethodPost, "/rebuild/finish", map[string]any{"ask": "please"}).Refused(http.StatusUnprocessableEntity, "invalid-request")

		if a := s.Call(http.MethodPost, "/rebuild", nil); a.Status != http.StatusOK || a.Fields()["replayTo"] != "reporting.rebuild" {
			t.Fatalf("begun: %d %s", a.Status, a.Body)
		}
		becomes("filling")
		for range 5 {
			order() // goes to both
		}
		s.Replay("reporting.rebuild", history...)
		s.Call(http.MethodPost, "/rebuild/finish", map[string]any{"ask": "swap"})
		if state := becomes("swapped"); fmt.Sprint(state["differences"]) != "[]" || state["compared"].(float64) < 22 {
			t.Errorf("swapped: %v", state)
		}
		counted(25)
		order()
		counted(26)
	})
}
