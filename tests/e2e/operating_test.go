package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts"
)

// everyServiceCanBeOperated looks at what is there for people who run it.
func everyServiceCanBeOperated(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 1))
	w.Packer().Packs(o)
	w.Dispatcher().Dispatches(o)
	o.Becomes("dispatched")

	for service := range w.urls {
		for path, want := range map[string]string{"/livez": "ok", "/readyz": `"ready":true`, "/metrics": "# TYPE", "/openapi.json": `"openapi"`} {
			a := w.call(request{service: service, method: http.MethodGet, path: path})
			if err := a.must(http.StatusOK); err != nil || !strings.Contains(string(a.body), want) {
				w.t.Errorf("%s of %s: %v, %.200s", path, service, err, a.body)
			}
		}
	}
	for service, subject := range map[string]string{
		"order": o.OrderID, "packing": o.OrderID, "dispatch": o.OrderID, "crm": o.OrderID, "reporting": o.OrderID,
	} {
		w.Eventually("the ledger of "+service+" has the order", func() error {
			rows, err := all[struct {
				Kind, Subject string
			}](w, service, "/ledger?limit=100")
			if err != nil {
				return err
			}
			var subjects []string
			for _, row := range rows {
				if row.Kind == "order" {
					subjects = append(subjects, row.Subject)
				}
			}
			if !slices.Contains(subjects, subject) {
				return fmt.Errorf("%d rows do not have %s", len(rows), subject)
			}
			slices.Sort(subjects)
			if len(slices.Compact(slices.Clone(subjects))) != len(subjects) {
				return final{fmt.Errorf("a subject has two rows: %v", subjects)}
			}
			return nil
		})
	}
	w.everybodyReadsWhatTheContractsSay()
	w.methodsAreNamed(o)
	page := w.call(request{service: "console", method: http.MethodGet, path: "/"})
	if err := page.must(http.StatusOK); err != nil || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		w.t.Errorf("the page of the console is %s: %v", page.header.Get("Content-Type"), err)
	}
}

// everybodyReadsWhatTheContractsSay compares the types that services have
// subscribed to with the readers that the contracts list, which is whom a change
// of a type has to be agreed with.
func (w *world) everybodyReadsWhatTheContractsSay() {
	w.t.Helper()
	listed := map[string][]string{}
	for _, typ := range contracts.Types() {
		for _, reader := range contracts.Readers(typ) {
			listed[reader] = append(listed[reader], typ)
		}
	}
	for service := range w.urls {
		a := w.call(request{service: service, method: http.MethodGet, path: "/metrics"})
		var read []string
		for _, match := range regexp.MustCompile(`(?m)^orderflow_inbox_reads\{type="([^"]+)"\} 1$`).FindAllSubmatch(a.body, -1) {
			read = append(read, string(match[1]))
		}
		slices.Sort(read)
		if diff := cmp.Diff(listed[service], read); diff != "" {
			w.t.Errorf("what %s reads (-contracts/readers.json +/metrics): %s", service, diff)
		}
	}
}

// methodsAreNamed tries methods that a path does not have.
func (w *world) methodsAreNamed(o *order) {
	w.t.Helper()
	for _, try := range []struct{ service, method, path, allow string }{
		{"order", http.MethodDelete, "/orders", "GET, HEAD, POST"},
		{"order", http.MethodPost, "/orders/" + o.OrderID, "GET, HEAD"},
		{"order", http.MethodGet, "/orders/" + o.OrderID + "/cancel", "POST"},
		{"customer", http.MethodGet, "/customers", "POST"},
		{"customer", http.MethodPost, "/customers/" + o.CustomerID + "/address", "PUT"},
		{"catalog", http.MethodPatch, "/products", "GET, HEAD, POST"},
		{"packing", http.MethodPut, "/jobs", "GET, HEAD"},
		{"dispatch", http.MethodGet, "/shipments/" + o.OrderID + "/dispatch", "POST"},
		{"crm", http.MethodPost, "/mails", "GET, HEAD"},
		{"reporting", http.MethodPost, "/summary", "GET, HEAD"},
	} {
		a := w.call(request{service: try.service, method: try.method, path: try.path})
		if err := refusedWith(a, http.StatusMethodNotAllowed, "method-not-allowed", ""); err != nil {
			w.t.Errorf("%s %s of %s: %v", try.method, try.path, try.service, err)
		}
		if allow := a.header.Get("Allow"); allow != try.allow {
			w.t.Errorf("%s %s of %s: Allow is %q, want %q", try.method, try.path, try.service, allow, try.allow)
		}
	}
}
