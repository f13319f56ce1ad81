package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// after reads with a position. The service may answer that it has not come that
// far, and then it is asked again; what it answers otherwise shows the write.
func (w *world) after(service, path, position string) answer {
	w.t.Helper()
	if position == "" {
		w.t.Fatalf("no Orderflow-Position to read %s with", path)
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	var a answer
	w.Eventually(service+" has it", func() error {
		a = w.call(request{service: service, method: http.MethodGet, path: path + separator + "wait=5s&after=" + position})
		if a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" {
			return fmt.Errorf("%s", a.body)
		}
		return nil
	})
	if err := a.must(http.StatusOK); err != nil {
		w.t.Errorf("%s %s: %v", service, path, err)
	}
	if behind, err := strconv.ParseFloat(a.header.Get("Orderflow-Behind"), 64); a.header.Get("Orderflow-Behind") != "unknown" && (err != nil || behind < 0) {
		w.t.Errorf("%s %s is behind by %q", service, path, a.header.Get("Orderflow-Behind"))
	}
	return a
}

// shows reads with a position, once it can be, and looks for a text in the
// answer. Reading again is no help: it must be there.
func (w *world) shows(service, path, position, text string) {
	w.t.Helper()
	if a := w.after(service, path, position); !strings.Contains(string(a.body), text) {
		w.t.Errorf("%s %s does not show %q: %s", service, path, text, a.body)
	}
}

const positionHeader = "Orderflow-Position"

// whoeverWritesReadsIt has several customers order at once, beside everything
// else that goes on, and reads each change back from every service that shows
// it, with the position that the change was answered with.
func whoeverWritesReadsIt(w *world) {
	w.Product("tea", 450, "EUR")
	var customers sync.WaitGroup
	for range 4 {
		customers.Go(func() { readsOwnWrites(w) })
	}
	customers.Wait()
}

func readsOwnWrites(w *world) {
	body := map[string]any{
		"name": "Réka", "email": w.scene + "@example.com",
		"address": address{Line1: "Fő utca 1", City: "Győr", Postcode: "9021", Country: "HU"},
	}
	registered := w.call(request{"customer", http.MethodPost, "/customers", body, nil})
	reka, err := parse[customer](registered)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.book.addCustomer(reka.CustomerID)
	reka.w = w
	w.shows("crm", "/customers/"+reka.CustomerID, registered.header.Get(positionHeader), "Réka")

	for range 3 {
		var placed answer
		w.Eventually("an order is taken", func() error {
			var err error
			placed, err = w.place(request{"order", http.MethodPost, "/orders", reka.orderBody(line("tea", 1)), nil})
			return err
		})
		o, position := w.placed(placed), placed.header.Get(positionHeader)
		w.shows("order", "/orders?limit=100&customerId="+reka.CustomerID, position, o.OrderID)
		w.shows("packing", "/jobs/"+o.OrderID, position, "pending")
		w.shows("crm", "/customers/"+reka.CustomerID, position, o.OrderID)
		w.after("reporting", "/summary", position)

		packed := w.call(request{"packing", http.MethodPost, "/jobs/" + o.OrderID + "/pack", map[string]string{"packedBy": "Jo"}, nil})
		position = packed.header.Get(positionHeader)
		w.shows("dispatch", "/shipments/"+o.OrderID, position, "ready")
		w.shows("order", "/orders?limit=100&status=packed&customerId="+reka.CustomerID, position, o.OrderID)
		w.shows("crm", "/mails?orderId="+o.OrderID, position, "packed")

		cancelled := w.call(request{"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", map[string]string{"reason": "too late"}, nil})
		position = cancelled.header.Get(positionHeader)
		w.shows("order", "/orders?limit=100&status=cancelled&customerId="+reka.CustomerID, position, o.OrderID)
		w.shows("dispatch", "/shipments?status=cancelled&limit=100", position, "cancelled")
		if again := w.call(request{"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", map[string]string{"reason": "again"}, nil}); again.header.Get(positionHeader) != position {
			w.t.Errorf("cancelled again: another position")
		}
	}
}

// described is the part of a description that is looked at here.
type described struct {
	Paths map[string]map[string]struct {
		Parameters []struct{ Name, In string }
		Responses  map[string]struct{ Headers map[string]any }
	}
}

// everyCommandAndReadIsConditional goes over the descriptions of all services:
// each command takes If-Match where there is a version to match, and answers
// with the new version and a position; each read of a projection takes a
// position and says how far it is behind.
func everyCommandAndReadIsConditional(w *world) {
	commands, reads := 0, 0
	// What people who operate a service do is about no aggregate.
	operating := func(path string) bool {
		paths := []string{"/deadletters", "/unrouted", "/trace", "/ledger", "/announcements", "/replays", "/rebuild", "/queues"}
		return slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(path, p) })
	}
	projections := map[string][]string{
		"order": {"/orders"}, "packing": {"/jobs", "/jobs/{orderId}"}, "dispatch": {"/shipments", "/shipments/{orderId}"},
		"crm": {"/customers/{customerId}", "/mails"}, "reporting": {"/summary", "/orders-per-day"},
	}
	for service := range w.urls {
		description, err := parse[described](w.call(request{service: service, method: http.MethodGet, path: "/openapi.json"}))
		if err != nil {
			w.t.Fatal(err)
		}
		for path, operations := range description.Paths {
			for method, operation := range operations {
				var parameters []string
				for _, p := range operation.Parameters {
					parameters = append(parameters, p.Name)
				}
				has := func(needed []string, headers map[string]any, params ...string) error {
					var missing []error
					for _, name := range needed {
						if _, ok := headers[name]; !ok {
							missing = append(missing, fmt.Errorf("answers without %s", name))
						}
					}
					for _, name := range params {
						if !slices.Contains(parameters, name) {
							missing = append(missing, fmt.Errorf("takes no %s", name))
						}
					}
					return errors.Join(missing...)
				}
				switch {
				case operating(path):
				case method == "post" && !strings.Contains(path, "{"):
					commands++
					err = has([]string{"Location", "ETag", positionHeader}, operation.Responses["201"].Headers)
				case method == "post" || method == "put":
					commands++
					err = has([]string{"ETag", positionHeader}, operation.Responses["200"].Headers, "If-Match")
				case method == "get" && slices.Contains(projections[service], path):
					reads++
					err = has([]string{"Orderflow-Behind"}, operation.Responses["200"].Headers, "after", "wait")
				}
				if err != nil {
					w.t.Errorf("%s %s %s: %v", service, method, path, err)
				}
				err = nil
			}
		}
	}
	if commands < 11 || reads != 9 {
		w.t.Errorf("%d commands and %d reads were found", commands, reads)
	}
}
