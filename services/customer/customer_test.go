package customer_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
)

func TestACustomerIsRegisteredAndAnnounced(t *testing.T) {
	w := start(t)
	a := w.call("POST", "/customers", ann(), "X-Correlation-ID", "corr").want(http.StatusCreated)
	id := a.str("customerId")
	if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 7 {
		t.Errorf("id %q", id)
	}
	if a.header.Get("Location") != "/customers/"+id || a.header.Get("ETag") != `"0"` || a.header.Get("X-Correlation-ID") != "corr" {
		t.Errorf("headers %v", a.header)
	}
	var got fields
	a.into(&got)
	want := ann()
	want["customerId"], want["status"], want["version"] = id, "active", 0.0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	read := w.call("GET", "/customers/"+id, nil).want(http.StatusOK)
	if string(read.body) != string(a.body) || read.header.Get("ETag") != `"0"` {
		t.Errorf("read again: ETag %s, %s", read.header.Get("ETag"), read.body)
	}
	event := w.heard("customer.events.created.v1", id)
	contractstest.Valid(t, event)
	if event.CorrelationID != "corr" || event.Sequence != 0 || !strings.Contains(string(event.Data), "Marktweg 17") {
		t.Errorf("announced as %+v: %s", event, event.Data)
	}
}

func TestWhatChangesIsAnsweredAndAnnounced(t *testing.T) {
	w := start(t)
	id := w.registered()
	home := fields{"line1": "Oudegracht 2", "line2": "3rd floor", "city": "Utrecht", "postcode": "3511 AB", "country": "NL"}
	for i, change := range []struct {
		method, path string
		body         fields
		event        string
		field        string
		want         any
	}{
		{"PUT", "/address", home, "customer.events.address_changed.v1", "address", home},
		{"PUT", "/contact", fields{"name": "Zoë 山田", "email": "zoe@example.org"}, "customer.events.contact_changed.v1", "name", "Zoë 山田"},
		{"POST", "/deactivate", fields{"reason": "moved away"}, "customer.events.deactivated.v1", "status", "deactivated"},
	} {
		a := w.call(change.method, "/customers/"+id+change.path, change.body).want(http.StatusOK)
		if tag := string('"') + string(rune('1'+i)) + string('"'); a.header.Get("ETag") != tag {
			t.Errorf("%s: ETag %s, want %s", change.path, a.header.Get("ETag"), tag)
		}
		var got fields
		a.into(&got)
		if diff := cmp.Diff(change.want, got[change.field]); diff != "" {
			t.Errorf("%s: %s", change.path, diff)
		}
		if read := w.call("GET", "/customers/"+id, nil).want(http.StatusOK); string(read.body) != string(a.body) {
			t.Errorf("%s: read again: %s", change.path, read.body)
		}
		event := w.heard(change.event, id)
		contractstest.Valid(t, event)
		if event.Sequence != int64(i+1) {
			t.Errorf("%s: sequence %d", change.path, event.Sequence)
		}
	}
	a := w.call("GET", "/customers/"+id, nil)
	if a.str("name") != "Zoë 山田" || a.str("email") != "zoe@example.org" || a.str("status") != "deactivated" {
		t.Errorf("in the end: %s", a.body)
	}
}

func TestARepeatedCommandChangesNothing(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.call("PUT", "/customers/"+id+"/address", delft()).want(http.StatusOK)
	a := w.call("PUT", "/customers/"+id+"/contact", fields{"name": "Ann Doe", "email": "ann@example.com"}).want(http.StatusOK)
	if a.header.Get("ETag") != `"0"` {
		t.Errorf("what is so already made version %s", a.header.Get("ETag"))
	}
	first := w.call("POST", "/customers/"+id+"/deactivate", fields{"reason": "moved away"}).want(http.StatusOK)
	again := w.call("POST", "/customers/"+id+"/deactivate", fields{"reason": "another"}).want(http.StatusOK)
	if string(first.body) != string(again.body) || again.header.Get("ETag") != `"1"` || again.str("status") != "deactivated" {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	if events := w.store.Events(t, "customer-"+id); len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
}

func TestOneWhoLeftChangesNoMore(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.call("POST", "/customers/"+id+"/deactivate", fields{"reason": "moved away"}).want(http.StatusOK)
	w.call("PUT", "/customers/"+id+"/address", delft()).refused(409, "customer-deactivated")
	w.call("PUT", "/customers/"+id+"/contact", fields{"name": "A", "email": "a@b.c"}).refused(409, "customer-deactivated")
}

func TestACommandIsRefusedWhenTheCustomerIsNotWhatTheCallerSaw(t *testing.T) {
	w := start(t)
	id := w.registered()
	anna := fields{"name": "Anna", "email": "anna@example.com"}
	w.call("PUT", "/customers/"+id+"/contact", anna, "If-Match", `"1"`).refused(412, "stale")
	w.call("PUT", "/customers/"+id+"/contact", anna, "If-Match", `"0"`).want(http.StatusOK)
	w.call("PUT", "/customers/"+id+"/contact", anna, "If-Match", `"0"`).refused(412, "stale")
	w.call("PUT", "/customers/"+id+"/address", delft(), "If-Match", `W/"1"`).refused(412, "stale")
	w.call("PUT", "/customers/"+id+"/address", delft(), "If-Match", `*`).want(http.StatusOK)
	w.call("POST", "/customers/"+id+"/deactivate", fields{"reason": "x"}, "If-Match", `"0"`).refused(412, "stale")
	if a := w.call("GET", "/customers/"+id, nil); a.str("status") != "active" || a.header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s, %s", a.header.Get("ETag"), a.body)
	}
	// Of many who saw the same version one gets through.
	accepted := 0
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			contact := fields{"name": "Ann " + string(rune('A'+i)), "email": "ann@example.com"}
			a := w.call("PUT", "/customers/"+id+"/contact", contact, "If-Match", `"1"`)
			mu.Lock()
			defer mu.Unlock()
			if a.status == http.StatusOK {
				accepted++
			} else if a.status != http.StatusPreconditionFailed {
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
	}
	group.Wait()
	if accepted != 1 {
		t.Errorf("%d of 8 were accepted", accepted)
	}
}

func TestAnIDThatNobodyHasIsNotFound(t *testing.T) {
	w := start(t)
	known := w.registered()
	for _, id := range []string{uuid.NewString(), "7", strings.ToUpper(known), known + "x", "%00"} {
		w.call("GET", "/customers/"+id, nil).refused(404, "not-found")
		w.call("PUT", "/customers/"+id+"/address", delft()).refused(404, "not-found")
		w.call("PUT", "/customers/"+id+"/contact", fields{"name": "A", "email": "a@b.c"}).refused(404, "not-found")
		w.call("POST", "/customers/"+id+"/deactivate", fields{"reason": "x"}).refused(404, "not-found")
	}
	w.call("GET", "/customers", nil).refused(405, "method-not-allowed")
	w.call("GET", "/customer", nil).refused(404, "not-found")
}

func TestACustomerWhoCannotBeReachedIsRefused(t *testing.T) {
	w := start(t)
	with := func(name string, value any) fields {
		body := ann()
		if name == "name" || name == "email" || name == "extra" {
			body[name] = value
		} else {
			body["address"].(fields)[name] = value
		}
		return body
	}
	without := func(name string) fields {
		body := ann()
		delete(body, name)
		return body
	}
	for name, test := range map[string]struct {
		body   any
		status int
		at     string
	}{
		"no name":                {without("name"), 422, "body"},
		"no address":             {without("address"), 422, "body"},
		"blank name":             {with("name", "  "), 422, "body.name"},
		"name of hard spaces":    {with("name", "\u00a0\u2003\u200b"), 422, "body.name"},
		"name with a line break": {with("name", "Ann\r\nBcc: x@example.com"), 422, "body.name"},
		"name with a NUL":        {with("name", "A\x00"), 422, "body.name"},
		"name too long":          {with("name", strings.Repeat("x", 201)), 422, "body.name"},
		"no email":               {with("email", "ann"), 422, "body.email"},
		"email with a name":      {with("email", "Ann <ann@example.com>"), 422, "body.email"},
		"email with two @":       {with("email", `"a@b"@example.com`), 422, "body.email"},
		"email with a line":      {with("email", "ann@example.com\r\n"), 422, "body.email"},
		"email too long":         {with("email", strings.Repeat("x", 251)+"@b.c"), 422, "body.email"},
		"blank line1":            {with("line1", ""), 422, "body.address.line1"},
		"blank line2":            {with("line2", " "), 422, "body.address.line2"},
		"blank city":             {with("city", "\u0009"), 422, "body.address.city"},
		"no postcode":            {with("postcode", ""), 422, "body.address.postcode"},
		"country in lower case":  {with("country", "nl"), 422, "body.address.country"},
		"country by name":        {with("country", "Netherlands"), 422, "body.address.country"},
		"unknown field":          {with("extra", 1), 422, "body.extra"},
		"unknown field inside":   {with("extraLine", 1), 422, "body.address.extraLine"},
		"malformed":              {`{"name":`, 400, ""},
		"too large":              {`{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.call("POST", "/customers", test.body)
			a.t = t
			code := map[int]string{422: "invalid-request", 400: "malformed-body", 413: "body-too-large"}[test.status]
			a.refused(test.status, code)
			if test.at != "" && !strings.Contains(string(a.body), `"location":"`+test.at+`"`) {
				t.Errorf("blames something else than %s: %s", test.at, a.body)
			}
			if strings.Contains(string(a.body), "Marktweg") {
				t.Errorf("the answer repeats personal data: %s", a.body)
			}
		})
	}
	w.call("POST", "/customers", "<customer/>", "Content-Type", "application/xml").refused(415, "unsupported-media-type")
	if events := w.store.All(t); len(events) > 0 {
		for _, e := range events {
			if strings.HasPrefix(e.StreamID, "customer-") {
				t.Errorf("a refused customer left %s in %s", e.EventType, e.StreamID)
			}
		}
	}
}

// Everything that comes in at the door can be told to others: no rule of the
// contract is stricter than those of the door.
func TestWhateverIsTakenCanBeAnnounced(t *testing.T) {
	w := start(t)
	address := func(line1, line2 string) fields {
		return fields{"line1": line1, "line2": line2, "city": "\u00a0Ω", "postcode": "-", "country": "ZZ"}
	}
	for _, body := range []fields{
		{"name": "x", "email": "a@b", "address": address("1", "")},
		{"name": strings.Repeat("é", 200), "email": "ü+tag@exämple.com", "address": address(strings.Repeat("山", 200), "2")},
		{"name": `<script>"O'Brien" \ & Co`, "email": "a.b-c_d@x.y.z", "address": address("\u2028x", "\ufeffx")},
		{"name": " leading and trailing ", "email": strings.Repeat("x", 60) + "@example.com", "address": address(" 1 ", " 2 ")},
	} {
		a := w.call("POST", "/customers", body).want(http.StatusCreated)
		contractstest.Valid(t, w.heard("customer.events.created.v1", a.str("customerId")))
		if a.str("name") != body["name"] || a.str("email") != body["email"] {
			t.Errorf("%v became %s", body, a.body)
		}
	}
}
