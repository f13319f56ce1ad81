package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// refusedWith checks a refusal: the status, the code of the problem, and, unless
// location is empty, that the field at fault is named.
func refusedWith(a answer, status int, code, location string) error {
	p, err := a.problem()
	if err = errors.Join(a.must(status), err); err != nil {
		return err
	}
	if p.Type != "urn:orderflow:problem:"+code {
		return fmt.Errorf("type %q, want the code %s: %s", p.Type, code, a.body)
	}
	if retry := a.header.Get("Retry-After"); (code == "unknown-customer" || code == "unknown-product") && retry != "1" {
		return fmt.Errorf("%s with Retry-After %q", code, retry)
	}
	if a.header.Get("Location") != "" || a.header.Get("ETag") != "" {
		return fmt.Errorf("a refusal with Location or ETag: %v", a.header)
	}
	for _, at := range p.Errors {
		if at.Location == location && at.Message != "" {
			return nil
		}
	}
	if location == "" {
		return nil
	}
	return fmt.Errorf("no fault at %s: %s", location, a.body)
}

// refusal is a request that must be refused.
type refusal struct {
	name string
	request
	status   int
	code     string
	location string
}

// invalidRequestsAreRefused makes every kind of mistake, and looks afterwards
// that nothing came of it.
func invalidRequestsAreRefused(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	w.Product("star", 1_000_000_000_000, "EUR")
	w.Product("dollar", 100, "USD")
	before := anna.Orders(line("tea", 1))
	for _, product := range []string{"tea", "star", "dollar"} {
		w.Eventually("the "+product+" is known to order", func() error {
			a, err := w.send(w.t.Context(), request{"order", http.MethodPost, "/orders", anna.orderBody(line(product, 1), line("nothing", 1)), nil})
			return errors.Join(err, refusedWith(a, http.StatusConflict, "unknown-product", "body.lines[1].sku"))
		})
	}

	refusals := slices.Concat(w.malformed(anna), w.invalidOrders(anna), w.invalidCustomers(anna), w.invalidProducts(),
		w.invalidWork(before), w.invalidLists(), w.nowhere(before))
	for _, r := range refusals {
		w.t.(*testing.T).Run(r.name, func(t *testing.T) {
			a, err := w.send(t.Context(), r.request)
			if err == nil {
				err = refusedWith(a, r.status, r.code, r.location)
			}
			if err != nil {
				t.Errorf("%s %s: %v", r.method, r.path, err)
			}
		})
	}

	after := anna.Orders(line("tea", 1)) // when this one is listed, all before it would be
	w.onlyOrders(anna, before, after)
	if now := read[customer](w, "customer", "/customers/"+anna.CustomerID); now.Version != 0 {
		w.t.Errorf("the customer afterwards: %+v", now)
	}
	if now := before.Now(); now.Version != 0 || now.Status != "placed" {
		w.t.Errorf("the order afterwards: %+v", now)
	}
	products, err := all[struct {
		SKU     string
		Version int64
	}](w, "catalog", "/products")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range products {
		if strings.Contains(p.SKU, w.scene) && p.Version != 0 || strings.Contains(p.SKU, "refused") {
			w.t.Errorf("a product afterwards: %+v", p)
		}
	}
}

// malformed are bodies that cannot be read, the same way at every service.
func (w *world) malformed(anna *customer) []refusal {
	var refusals []refusal
	for _, to := range []request{
		{service: "order", method: http.MethodPost, path: "/orders"},
		{service: "customer", method: http.MethodPost, path: "/customers"},
		{service: "customer", method: http.MethodPut, path: "/customers/" + anna.CustomerID + "/address"},
		{service: "catalog", method: http.MethodPost, path: "/products"},
		{service: "packing", method: http.MethodPost, path: "/jobs/" + uuid.NewString() + "/pack"},
		{service: "dispatch", method: http.MethodPost, path: "/shipments/" + uuid.NewString() + "/dispatch"},
	} {
		name := to.service + " " + to.path[1:]
		with := func(body any, header map[string]string) request {
			to.body, to.header = body, header
			return to
		}
		refusals = append(refusals, []refusal{
			{name + " body cut off", with(`{"name":`, nil), 400, "malformed-body", ""},
			{name + " body that is no JSON", with(`name=Anna`, nil), 400, "malformed-body", ""},
			{name + " no body", with(nil, nil), 400, "malformed-body", ""},
			{name + " list for a body", with(`[]`, nil), 422, "invalid-request", "body"},
			{name + " null for a body", with(`null`, nil), 422, "invalid-request", "body"},
			{name + " empty object", with(`{}`, nil), 422, "invalid-request", "body"},
			{name + " two MiB", with(`{"name":"`+strings.Repeat("x", 2<<20)+`"}`, nil), 413, "body-too-large", ""},
			{name + " XML", with(`<order/>`, map[string]string{"Content-Type": "application/xml"}), 415, "unsupported-media-type", ""},
			{name + " form", with(`a=b`, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}), 415, "unsupported-media-type", ""},
		}...)
	}
	return refusals
}

func (w *world) invalidOrders(anna *customer) []refusal {
	post := func(body any) request { return request{"order", http.MethodPost, "/orders", body, nil} }
	lines := func(text string) request {
		return post(fmt.Sprintf(`{"customerId":%q,"lines":%s}`, anna.CustomerID, strings.ReplaceAll(text, "SKU", w.sku("tea"))))
	}
	const invalid = "invalid-request"
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`{"sku":"p%d","quantity":1}`, i)
	}
	return []refusal{
		{"unknown field", post(fmt.Sprintf(`{"customerId":%q,"lines":[{"sku":"a","quantity":1}],"coupon":"x"}`, anna.CustomerID)), 422, invalid, "body.coupon"},
		{"unknown field of a line", lines(`[{"sku":"SKU","quantity":1,"price":1}]`), 422, invalid, "body.lines[0].price"},
		{"no customer", post(`{"lines":[{"sku":"a","quantity":1}]}`), 422, invalid, "body"},
		{"customer that is no id", post(`{"customerId":"anna","lines":[{"sku":"a","quantity":1}]}`), 422, invalid, "body.customerId"},
		{"customer that is a number", post(`{"customerId":7,"lines":[{"sku":"a","quantity":1}]}`), 422, invalid, "body.customerId"},
		{"lines that are an object", lines(`{}`), 422, invalid, "body.lines"},
		{"lines that are null", lines(`null`), 422, invalid, "body.lines"},
		{"no lines", lines(`[]`), 422, invalid, "body.lines"},
		{"too many lines", lines("[" + strings.Join(many, ",") + "]"), 422, invalid, "body.lines"},
		{"line that is a text", lines(`["tea"]`), 422, invalid, "body.lines[0]"},
		{"no quantity", lines(`[{"sku":"SKU"}]`), 422, invalid, "body.lines[0]"},
		{"quantity zero", lines(`[{"sku":"SKU","quantity":0}]`), 422, invalid, "body.lines[0].quantity"},
		{"quantity below zero", lines(`[{"sku":"SKU","quantity":-3}]`), 422, invalid, "body.lines[0].quantity"},
		{"quantity that is a fraction", lines(`[{"sku":"SKU","quantity":1.5}]`), 422, invalid, "body.lines[0].quantity"},
		{"quantity that is a text", lines(`[{"sku":"SKU","quantity":"1"}]`), 422, invalid, "body.lines[0].quantity"},
		{"quantity that is null", lines(`[{"sku":"SKU","quantity":null}]`), 422, invalid, "body.lines[0].quantity"},
		{"huge quantity", lines(`[{"sku":"SKU","quantity":1000000001}]`), 422, invalid, "body.lines[0].quantity"},
		{"quantity beyond 64 bits", lines(`[{"sku":"SKU","quantity":99999999999999999999}]`), 422, invalid, "body.lines[0].quantity"},
		{"total that overflows", post(anna.orderBody(line("star", 2))), 422, invalid, "body.lines[0].quantity"},
		{"total that overflows 64 bits", post(anna.orderBody(line("star", 1_000_000_000))), 422, invalid, "body.lines[0].quantity"},
		{"sum that overflows", post(anna.orderBody(line("tea", 1), line("star", 1))), 422, invalid, "body.lines[1].quantity"},
		{"the same sku twice", lines(`[{"sku":"SKU","quantity":1},{"sku":"SKU","quantity":1}]`), 422, invalid, "body.lines[1].sku"},
		{"two currencies", post(anna.orderBody(line("tea", 1), line("dollar", 1))), 422, invalid, "body.lines[1].sku"},
		{"blank sku", lines(`[{"sku":"  ","quantity":1}]`), 422, invalid, "body.lines[0].sku"},
		{"empty sku", lines(`[{"sku":"","quantity":1}]`), 422, invalid, "body.lines[0].sku"},
		{"sku with a control character", lines(`[{"sku":"a\u0000b","quantity":1}]`), 422, invalid, "body.lines[0].sku"},
		{"sku that is too long", lines(`[{"sku":"` + strings.Repeat("x", 300) + `","quantity":1}]`), 422, invalid, "body.lines[0].sku"},
		{"second line at fault", lines(`[{"sku":"SKU","quantity":1},{"sku":"other","quantity":0}]`), 422, invalid, "body.lines[1].quantity"},
		{"key that is too long", request{"order", http.MethodPost, "/orders", anna.orderBody(line("tea", 1)), withKey(strings.Repeat("k", 201))}, 422, invalid, "header.Idempotency-Key"},
		{"unknown customer", post(map[string]any{"customerId": uuid.NewString(), "lines": []any{map[string]any{"sku": w.sku("tea"), "quantity": 1}}}), 409, "unknown-customer", "body.customerId"},
		{"unknown product", lines(`[{"sku":"SKU","quantity":1},{"sku":"unheard-of","quantity":1}]`), 409, "unknown-product", "body.lines[1].sku"},
	}
}

func (w *world) invalidCustomers(anna *customer) []refusal {
	const invalid = "invalid-request"
	at := address{Line1: "1 High Street", City: "Leeds", Postcode: "LS1 1AA", Country: "GB"}
	post := func(name, email string, at address) request {
		return request{"customer", http.MethodPost, "/customers", map[string]any{"name": name, "email": email, "address": at}, nil}
	}
	in := func(change func(*address)) request {
		other := at
		change(&other)
		return post("A", "a@example.com", other)
	}
	to := "/customers/" + anna.CustomerID
	return []refusal{
		{"blank name", post("   ", "a@example.com", at), 422, invalid, "body.name"},
		{"empty name", post("", "a@example.com", at), 422, invalid, "body.name"},
		{"name that is too long", post(strings.Repeat("ä", 1001), "a@example.com", at), 422, invalid, "body.name"},
		{"name with a control character", post("An\x00na", "a@example.com", at), 422, invalid, "body.name"},
		{"name with a line break", post("An\nna", "a@example.com", at), 422, invalid, "body.name"},
		{"email without at", post("A", "example.com", at), 422, invalid, "body.email"},
		{"email of two headers", post("A", "a@example.com\r\nBcc: b@example.com", at), 422, invalid, "body.email"},
		{"no address", request{"customer", http.MethodPost, "/customers", `{"name":"A","email":"a@example.com"}`, nil}, 422, invalid, "body"},
		{"blank street", in(func(a *address) { a.Line1 = " " }), 422, invalid, "body.address.line1"},
		{"second line with a control character", in(func(a *address) { a.Line2 = "\x1b[31m" }), 422, invalid, "body.address.line2"},
		{"city that is too long", in(func(a *address) { a.City = strings.Repeat("x", 1001) }), 422, invalid, "body.address.city"},
		{"empty postcode", in(func(a *address) { a.Postcode = "" }), 422, invalid, "body.address.postcode"},
		{"country in words", in(func(a *address) { a.Country = "Germany" }), 422, invalid, "body.address.country"},
		{"country in lower case", in(func(a *address) { a.Country = "de" }), 422, invalid, "body.address.country"},
		{"unknown field of the address", request{"customer", http.MethodPut, to + "/address", `{"line1":"a","city":"b","postcode":"c","country":"DE","county":"x"}`, nil}, 422, invalid, "body.county"},
		{"contact without an email", request{"customer", http.MethodPut, to + "/contact", `{"name":"A"}`, nil}, 422, invalid, "body"},
		{"deactivated for no reason", request{"customer", http.MethodPost, to + "/deactivate", `{"reason":""}`, nil}, 422, invalid, "body.reason"},
	}
}

func (w *world) invalidProducts() []refusal {
	const invalid = "invalid-request"
	post := func(body string) request { return request{"catalog", http.MethodPost, "/products", body, nil} }
	price := "/products/" + w.sku("tea") + "/price"
	return []refusal{
		{"product listed already", post(fmt.Sprintf(`{"sku":%q,"name":"A","price":{"amount":1,"currency":"EUR"}}`, w.sku("tea"))), 409, "duplicate-sku", ""},
		{"product with a blank sku", post(`{"sku":" ","name":"refused","price":{"amount":1,"currency":"EUR"}}`), 422, invalid, "body.sku"},
		{"product with a slash", post(`{"sku":"refused/1","name":"A","price":{"amount":1,"currency":"EUR"}}`), 422, invalid, "body.sku"},
		{"product without a name", post(`{"sku":"refused-2","name":" ","price":{"amount":1,"currency":"EUR"}}`), 422, invalid, "body.name"},
		{"product below nothing", post(`{"sku":"refused-3","name":"A","price":{"amount":-1,"currency":"EUR"}}`), 422, invalid, "body.price.amount"},
		{"product beyond all numbers", post(`{"sku":"refused-4","name":"A","price":{"amount":9007199254740992,"currency":"EUR"}}`), 422, invalid, "body.price.amount"},
		{"product for a fraction", post(`{"sku":"refused-5","name":"A","price":{"amount":1.5,"currency":"EUR"}}`), 422, invalid, "body.price.amount"},
		{"product in another currency", post(`{"sku":"refused-6","name":"A","price":{"amount":1,"currency":"euro"}}`), 422, invalid, "body.price.currency"},
		{"product without a price", post(`{"sku":"refused-7","name":"A"}`), 422, invalid, "body"},
		{"price without a currency", request{"catalog", http.MethodPut, price, `{"amount":1}`, nil}, 422, invalid, "body"},
		{"price below nothing", request{"catalog", http.MethodPut, price, `{"amount":-1,"currency":"EUR"}`, nil}, 422, invalid, "body.amount"},
	}
}

func (w *world) invalidWork(o *order) []refusal {
	const invalid = "invalid-request"
	return []refusal{
		{"cancelled for no reason", request{"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", `{"reason":"  "}`, nil}, 422, invalid, "body.reason"},
		{"cancelled for a long reason", request{"order", http.MethodPost, "/orders/" + o.OrderID + "/cancel", map[string]string{"reason": strings.Repeat("x", 1001)}, nil}, 422, invalid, "body.reason"},
		{"packed by nobody", request{"packing", http.MethodPost, "/jobs/" + o.OrderID + "/pack", `{"packedBy":""}`, nil}, 422, invalid, "body.packedBy"},
		{"rejected for no reason", request{"packing", http.MethodPost, "/jobs/" + o.OrderID + "/reject", `{"reason":"\t"}`, nil}, 422, invalid, "body.reason"},
		{"rejected without saying", request{"packing", http.MethodPost, "/jobs/" + o.OrderID + "/reject", `{"by":"Piet"}`, nil}, 422, invalid, "body.by"},
		{"dispatched by nobody", request{"dispatch", http.MethodPost, "/shipments/" + o.OrderID + "/dispatch", `{"carrier":" ","trackingNumber":"1"}`, nil}, 422, invalid, "body.carrier"},
		{"dispatched without a number", request{"dispatch", http.MethodPost, "/shipments/" + o.OrderID + "/dispatch", `{"carrier":"DHL"}`, nil}, 422, invalid, "body"},
	}
}

func (w *world) invalidLists() []refusal {
	const invalid = "invalid-request"
	var refusals []refusal
	for service, list := range map[string]string{
		"order": "/orders", "catalog": "/products", "packing": "/jobs", "dispatch": "/shipments", "crm": "/mails",
		"reporting": "/ledger", "customer": "/deadletters",
	} {
		key := `[1,"\u0000"]`
		if list == "/ledger" {
			key = `["\u0000"]`
		}
		get := func(query string) request { return request{service, http.MethodGet, list + query, nil, nil} }
		refusals = append(refusals,
			refusal{service + " limit 0", get("?limit=0"), 422, invalid, "query.limit"},
			refusal{service + " limit 101", get("?limit=101"), 422, invalid, "query.limit"},
			refusal{service + " limit abc", get("?limit=abc"), 422, invalid, "query.limit"},
			refusal{service + " limit -1", get("?limit=-1"), 422, invalid, "query.limit"},
			refusal{service + " cursor of nobody", get("?cursor=nonsense"), 422, invalid, "query.cursor"},
			refusal{service + " cursor with other keys", get("?cursor=W10"), 422, invalid, "query.cursor"},
			refusal{service + " cursor with a NUL", get("?cursor=" + base64.RawURLEncoding.EncodeToString([]byte(key))), 422, invalid, "query.cursor"},
			refusal{service + " unknown parameter", get("?colour=red"), 422, invalid, "query.colour"},
		)
	}
	for service, list := range map[string]string{"order": "/orders", "packing": "/jobs", "dispatch": "/shipments"} {
		refusals = append(refusals, refusal{
			service + " unknown status", request{service, http.MethodGet, list + "?status=lost", nil, nil}, 422, invalid, "query.status",
		})
	}
	return append(refusals,
		refusal{"orders of no id", request{"order", http.MethodGet, "/orders?customerId=anna", nil, nil}, 422, invalid, "query.customerId"},
		refusal{"day that is none", request{"reporting", http.MethodGet, "/orders-per-day?from=2025-02-30&to=2025-03-01", nil, nil}, 422, invalid, "query.from"},
		refusal{"days that are none", request{"reporting", http.MethodGet, "/orders-per-day?from=2025-02-01&to=soon", nil, nil}, 422, invalid, "query.to"},
	)
}

// nowhere are paths and methods that do not exist.
func (w *world) nowhere(o *order) []refusal {
	var refusals []refusal
	for _, path := range []struct{ service, before, after, method, body string }{
		{"order", "/orders/", "", http.MethodGet, ""},
		{"order", "/orders/", "/history", http.MethodGet, ""},
		{"order", "/orders/", "/cancel", http.MethodPost, `{"reason":"x"}`},
		{"customer", "/customers/", "", http.MethodGet, ""},
		{"customer", "/customers/", "/deactivate", http.MethodPost, `{"reason":"x"}`},
		{"customer", "/customers/", "/contact", http.MethodPut, `{"name":"A","email":"a@example.com"}`},
		{"packing", "/jobs/", "", http.MethodGet, ""},
		{"packing", "/jobs/", "/pack", http.MethodPost, `{"packedBy":"x"}`},
		{"dispatch", "/shipments/", "", http.MethodGet, ""},
		{"dispatch", "/shipments/", "/dispatch", http.MethodPost, `{"carrier":"x","trackingNumber":"x"}`},
		{"crm", "/customers/", "", http.MethodGet, ""},
		{"catalog", "/products/", "", http.MethodGet, ""},
		{"catalog", "/products/", "/price", http.MethodPut, `{"amount":1,"currency":"EUR"}`},
		{"order", "/deadletters/", "", http.MethodGet, ""},
	} {
		for what, id := range map[string]string{
			"an id nobody has": uuid.NewString(), "what is no id": "42", "an id in capitals": strings.ToUpper(o.OrderID),
			"an odd id": "%00%2F..%20",
		} {
			r := request{service: path.service, method: path.method, path: path.before + id + path.after}
			if path.body != "" {
				r.body = path.body
			}
			refusals = append(refusals, refusal{path.service + " " + path.method + " " + path.before + path.after + " of " + what, r, 404, "not-found", ""})
		}
	}
	for service := range w.urls {
		if service == "console" {
			continue // the page of the console answers for itself
		}
		refusals = append(refusals, refusal{
			service + " has no such path", request{service, http.MethodGet, "/nowhere", nil, nil}, 404, "not-found", "",
		})
	}
	return refusals
}
