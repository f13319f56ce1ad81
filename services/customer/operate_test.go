package customer_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"orderflow/pkg/sqldb/sqldbtest"
)

// TestTheEventStoreHoldsNothingThatTellsWhoSomebodyIs searches every byte that
// the event store has written, and every line of the log, at its most talkative.
func TestTheEventStoreHoldsNothingThatTellsWhoSomebodyIs(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.Call("PUT", "/customers/"+id+"/contact", fields{"name": "Annabel Quist", "email": "quist@example.org"}).Want(http.StatusOK)
	w.Call("PUT", "/customers/"+id+"/address", fields{
		"line1": "Oudegracht 22", "line2": "bij Jansen", "city": "Utrecht", "postcode": "3511 AB", "country": "NL",
	}).Want(http.StatusOK)
	w.Call("PUT", "/customers/"+id+"/address", fields{"line1": "Oudegracht 22", "city": "Utrecht"}).Want(422)
	w.Call("POST", "/customers/"+id+"/deactivate", fields{"reason": "went to Valkenburg"}).Want(http.StatusOK)
	w.Hears("customer.events.deactivated.v1", id)

	personal := []string{
		"Ann Doe", "ann@example.com", "Marktweg", "Delft", "2611 GP", "Annabel", "Quist", "quist@", "Oudegracht", "Jansen", "Utrecht",
		"3511 AB", "Valkenburg",
	}
	files, found := 0, false
	err := filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		found = found || strings.Contains(string(content), id)
		for _, text := range personal {
			if strings.Contains(strings.ToLower(string(content)), strings.ToLower(text)) {
				t.Errorf("%q is in %s", text, filepath.Base(path))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Errorf("looked in the wrong place: the customer is in none of %d files", files)
	}
	for _, text := range personal {
		if strings.Contains(w.Log(), text) {
			t.Errorf("%q is in the log", text)
		}
	}
}

func TestThereIsNothingToTraceOrReconcile(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.Hears("customer.events.created.v1", id)
	if a := w.Get("/ledger").Want(http.StatusOK); string(a.Body) != `{"items":[]}`+"\n" {
		t.Errorf("%s", a.Body)
	}
	if a := w.Get("/deadletters").Want(http.StatusOK); string(a.Body) != `{"items":[]}`+"\n" {
		t.Errorf("%s", a.Body)
	}
	order := uuid.NewString()
	if a := w.Get("/trace/" + order).Want(http.StatusOK); string(a.Body) != `{"service":"customer","orderId":"`+order+`","items":[]}`+"\n" {
		t.Errorf("%s", a.Body)
	}
}

func TestTheServiceIsNotReadyWithoutItsEventStore(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.store.Stop()
	sqldbtest.Eventually(t, "not ready", func() bool { return w.Get("/readyz").Status == http.StatusServiceUnavailable })
	w.Get("/livez").Want(http.StatusOK)
	w.store.Start()
	sqldbtest.Eventually(t, "ready again", func() bool { return w.Get("/readyz").Status == http.StatusOK })
	if a := w.Get("/customers/" + id).Want(http.StatusOK); a.Text("name") != "Ann Doe" {
		t.Errorf("%s", a.Body)
	}
}
