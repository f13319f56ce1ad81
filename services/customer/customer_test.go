package customer_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestACustomerIsRegisteredAndAnnounced(t *testing.T) {
	w := start(t)
	a := w.Call("POST", "/customers", ann(), "X-Correlation-ID", "corr").Want(http.StatusCreated)
	id := a.Text("customerId")
	if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 7 {
		t.Errorf("id %q", id)
	}
	if a.Header.Get("Location") != "/customers/"+id || a.Header.Get("ETag") != `"0"` || a.Header.Get("X-Correlation-ID") != "corr" {
		t.Errorf("headers %v", a.Header)
	}
	var got fields
	a.Into(&got)
	want := ann()
	want["customerId"], want["status"], want["version"] = id, "active", 0.0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	read := w.Get("/customers/" + id).Want(http.StatusOK)
	if string(read.Body) != string(a.Body) || read.Header.Get("ETag") != `"0"` {
		t.Errorf("read again: ETag %s, %s", read.Header.Get("ETag"), read.Body)
	}
	event := w.Hears("customer.events.created.v1", id)
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
		a := w.Call(change.method, "/customers/"+id+change.path, change.body).Want(http.StatusOK)
		if tag := string('"') + string(rune('1'+i)) + string('"'); a.Header.Get("ETag") != tag {
			t.Errorf("%s: ETag %s, want %s", change.path, a.Header.Get("ETag"), tag)
		}
		var got fields
		a.Into(&got)
		if diff := cmp.Diff(change.want, got[change.field]); diff != "" {
			t.Errorf("%s: %s", change.path, diff)
		}
		if read := w.Get("/customers/" + id).Want(http.StatusOK); string(read.Body) != string(a.Body) {
			t.Errorf("%s: read again: %s", change.path, read.Body)
		}
		event := w.Hears(change.event, id)
		contractstest.Valid(t, event)
		if event.Sequence != int64(i+1) {
			t.Errorf("%s: sequence %d", change.path, event.Sequence)
		}
	}
	a := w.Get("/customers/" + id)
	if a.Text("name") != "Zoë 山田" || a.Text("email") != "zoe@example.org" || a.Text("status") != "deactivated" {
		t.Errorf("in the end: %s", a.Body)
	}
}

func TestARepeatedCommandChangesNothing(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.Call("PUT", "/customers/"+id+"/address", delft()).Want(http.StatusOK)
	a := w.Call("PUT", "/customers/"+id+"/contact", fields{"name": "Ann Doe", "email": "ann@example.com"}).Want(http.StatusOK)
	if a.Header.Get("ETag") != `"0"` {
		t.Errorf("what is so already made version %s", a.Header.Get("ETag"))
	}
	first := w.Call("POST", "/customers/"+id+"/deactivate", fields{"reason": "moved away"}).Want(http.StatusOK)
	again := w.Call("POST", "/customers/"+id+"/deactivate", fields{"reason": "another"}).Want(http.StatusOK)
	if string(first.Body) != string(again.Body) || again.Header.Get("ETag") != `"1"` || again.Text("status") != "deactivated" {
		t.Errorf("%s, then %s", first.Body, again.Body)
	}
	if events := w.store.Events(t, "customer-"+id); len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
}

func TestOneWhoLeftChangesNoMore(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.Call("POST", "/customers/"+id+"/deactivate", fields{"reason": "moved away"}).Want(http.StatusOK)
	w.Call("PUT", "/customers/"+id+"/address", delft()).Refused(409, "customer-deactivated")
	w.Call("PUT", "/customers/"+id+"/contact", fields{"name": "A", "email": "a@b.c"}).Refused(409, "customer-deactivated")
}

func TestACommandIsRefusedWhenTheCustomerIsNotWhatTheCallerSaw(t *testing.T) {
	w := start(t)
	id := w.registered()
	anna := fields{"name": "Anna", "email": "anna@example.com"}
	w.Call("PUT", "/customers/"+id+"/contact", anna, "If-Match", `"1"`).Refused(412, "stale")
	w.Call("PUT", "/customers/"+id+"/contact", anna, "If-Match", `"0"`).Want(http.StatusOK)
	w.Call("PUT", "/customers/"+id+"/contact", anna, "If-Match", `"0"`).Refused(412, "stale")
	w.Call("PUT", "/customers/"+id+"/address", delft(), "If-Match", `W/"1"`).Refused(412, "stale")
	w.Call("PUT", "/customers/"+id+"/address", delft(), "If-Match", `*`).Want(http.StatusOK)
	w.Call("POST", "/customers/"+id+"/deactivate", fields{"reason": "x"}, "If-Match", `"0"`).Refused(412, "stale")
	if a := w.Get("/customers/" + id); a.Text("status") != "active" || a.Header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s, %s", a.Header.Get("ETag"), a.Body)
	}
	// Of many who saw the same version one gets through.
	accepted := 0
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			contact := fields{"name": "Ann " + string(rune('A'+i)), "email": "ann@example.com"}
			a := w.Call("PUT", "/customers/"+id+"/contact", contact, "If-Match", `"1"`)
			mu.Lock()
			defer mu.Unlock()
			if a.Status == http.StatusOK {
				accepted++
			} else if a.Status != http.StatusPreconditionFailed {
				t.Errorf("status %d: %s", a.Status, a.Body)
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
		w.Get("/customers/"+id).Refused(404, "not-found")
		w.Call("PUT", "/customers/"+id+"/address", delft()).Refused(404, "not-found")
		w.Call("PUT", "/customers/"+id+"/contact", fields{"name": "A", "email": "a@b.c"}).Refused(404, "not-found")
		w.Call("POST", "/customers/"+id+"/deactivate", fields{"reason": "x"}).Refused(404, "not-found")
	}
	w.Get("/customers").Refused(405, "method-not-allowed")
	w.Get("/customer").Refused(404, "not-found")
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
			a := w.Call("POST", "/customers", test.body).In(t)
			code := map[int]string{422: "invalid-request", 400: "malformed-body", 413: "body-too-large"}[test.status]
			a.Refused(test.status, code)
			if test.at != "" && !strings.Contains(string(a.Body), `"location":"`+test.at+`"`) {
				t.Errorf("blames something else than %s: %s", test.at, a.Body)
			}
			if strings.Contains(string(a.Body), "Marktweg") {
				t.Errorf("the answer repeats personal data: %s", a.Body)
			}
		})
	}
	w.Call("POST", "/customers", "<customer/>", "Content-Type", "application/xml").Refused(415, "unsupported-media-type")
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
		a := w.Call("POST", "/customers", body).Want(http.StatusCreated)
		contractstest.Valid(t, w.Hears("customer.events.created.v1", a.Text("customerId")))
		if a.Text("name") != body["name"] || a.Text("email") != body["email"] {
			t.Errorf("%v became %s", body, a.Body)
		}
	}
}

func TestACustomerIsForgottenAndItIsAnnounced(t *testing.T) {
	w := start(t)
	active, left := w.registered(), w.registered()
	w.Call("POST", "/customers/"+left+"/deactivate", fields{"reason": "moved to Valkenburg"}).Want(http.StatusOK)
	w.Call("POST", "/customers/"+active+"/forget", nil, "If-Match", `"7"`).Refused(412, "stale")
	for id, version := range map[string]float64{active: 1, left: 2} {
		first := w.Call("POST", "/customers/"+id+"/forget", nil).Want(http.StatusOK)
		var got fields
		first.Into(&got)
		if diff := cmp.Diff(fields{"customerId": id, "name": "forgotten", "status": "forgotten", "version": version}, got); diff != "" {
			t.Error(diff)
		}
		again := w.Call("POST", "/customers/"+id+"/forget", nil).Want(http.StatusOK)
		read := w.Get("/customers/" + id).Want(http.StatusOK)
		if string(again.Body) != string(first.Body) || string(read.Body) != string(first.Body) {
			t.Errorf("%s, then %s, read as %s", first.Body, again.Body, read.Body)
		}
		event := w.Hears("customer.events.forgotten.v1", id)
		contractstest.Valid(t, event)
		if event.Sequence != int64(version) {
			t.Errorf("sequence %d", event.Sequence)
		}
		w.Call("PUT", "/customers/"+id+"/address", delft()).Refused(409, "customer-forgotten")
		w.Call("PUT", "/customers/"+id+"/contact", fields{"name": "A", "email": "a@b.c"}).Refused(409, "customer-forgotten")
		w.Call("POST", "/customers/"+id+"/deactivate", fields{"reason": "x"}).Refused(409, "customer-forgotten")
	}
	w.Call("POST", "/customers/"+uuid.NewString()+"/forget", nil).Refused(404, "not-found")
	w.Call("POST", "/customers/nobody/forget", nil).Refused(404, "not-found")
}

// TestTheKeyIsDestroyedWhoeverDies leaves what a process leaves that dies after
// the append: the event is there, and so is the key.
func TestTheKeyIsDestroyedWhoeverDies(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.Hears("customer.events.created.v1", id)
	w.store.Append(t, "customer-"+id, esdb.EventData{
		EventID: uuid.New(), EventType: "customer-forgotten", ContentType: esdb.ContentTypeJson,
		Data: []byte(`{"at":"2026-03-17T11:00:00Z"}`), Metadata: []byte(`{"version":1,"$correlationId":"corr"}`),
	})
	db, err := sqldb.Open(t.Context(), w.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	sqldbtest.Eventually(t, "the key is destroyed, and copies were looked for", func() bool {
		return sqldbtest.Count(t, db, `SELECT count(*) FROM customer_key WHERE length(secret) = 0 AND forgotten_at > 0`) == 1 &&
			sqldbtest.Count(t, db, `SELECT count(*) FROM forgetting WHERE sweeps > 0`) == 1
	})
	contractstest.Valid(t, w.Hears("customer.events.forgotten.v1", id))
	w.Call("POST", "/customers/"+id+"/forget", nil).Want(http.StatusOK)
}

// TestKeysThatAreAwayAreNoKeysThatAreGone takes the keys away while somebody is
// being forgotten, and puts them back. Then it loses one, which nobody may take
// for forgotten.
func TestKeysThatAreAwayAreNoKeysThatAreGone(t *testing.T) {
	w := start(t)
	id, other := w.registered(), w.registered()
	w.Hears("customer.events.created.v1", other)
	db, err := sqldb.Open(t.Context(), w.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	sqldbtest.Exec(t, db, `ALTER TABLE customer_key RENAME TO keys_away`)
	away := w.Call("POST", "/customers/"+id+"/forget", nil)
	away.Refused(http.StatusServiceUnavailable, "keys-unavailable")
	if away.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", away.Header.Get("Retry-After"))
	}
	sqldbtest.Eventually(t, "nobody can be read", func() bool {
		return w.Get("/customers/"+other).Status == http.StatusServiceUnavailable
	})
	sqldbtest.Exec(t, db, `ALTER TABLE keys_away RENAME TO customer_key`)
	if a := w.Get("/customers/" + other).Want(http.StatusOK); a.Text("name") != "Ann Doe" {
		t.Errorf("afterwards: %s", a.Body)
	}
	if a := w.Call("POST", "/customers/"+id+"/forget", nil).Want(http.StatusOK); a.Text("status") != "forgotten" {
		t.Errorf("forgotten: %s", a.Body)
	}
	contractstest.Valid(t, w.Hears("customer.events.forgotten.v1", id))
	if a := w.Get("/deadletters").Want(http.StatusOK); string(a.Body) != `{"items":[]}`+"\n" {
		t.Errorf("parked meanwhile: %s", a.Body)
	}

	sqldbtest.Exec(t, db, `DELETE FROM customer_key WHERE customer_id = $1`, other)
	sqldbtest.Eventually(t, "a lost key is an error", func() bool {
		return w.Get("/customers/"+other).Status == http.StatusInternalServerError
	})
	if !strings.Contains(w.Log(), "who was never forgotten") {
		t.Error("the log does not say why")
	}
}

// TestTheKeyIsInNoFileBeforeAnythingIsAnnounced keeps the relay from getting any
// further, as a bus does that is away for a week: whoever has the files then must
// not be able to read who was forgotten.
func TestTheKeyIsInNoFileBeforeAnythingIsAnnounced(t *testing.T) {
	w := start(t)
	id := w.registered()
	w.Hears("customer.events.created.v1", id)
	db, err := sqldb.Open(t.Context(), w.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	for _, change := range []string{"INSERT", "UPDATE"} {
		sqldbtest.Exec(t, db, `CREATE TRIGGER no_`+change+` BEFORE `+change+` ON relay_checkpoint BEGIN SELECT RAISE(ABORT, 'stuck'); END`)
	}
	var key []byte
	if err := db.QueryRow(t.Context(), `SELECT secret FROM customer_key WHERE customer_id = $1`, id).Scan(&key); err != nil {
		t.Fatal(err)
	}
	kept := func() (files []string) {
		all, err := filepath.Glob(strings.TrimPrefix(w.database, "sqlite://") + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range all {
			if content, err := os.ReadFile(file); err == nil && bytes.Contains(content, key) {
				files = append(files, file)
			}
		}
		return files
	}
	if len(kept()) == 0 {
		t.Fatal("looked in the wrong place: no file has the key")
	}
	w.Call("POST", "/customers/"+id+"/forget", nil).Want(http.StatusOK)
	sqldbtest.Eventually(t, "no file has the key", func() bool { return len(kept()) == 0 })
	sqldbtest.Eventually(t, "copies are to be looked for, when all is announced", func() bool {
		return sqldbtest.Count(t, db, `SELECT count(*) FROM forgetting WHERE sweeps = 0`) == 1
	})
}

// TestOneWhoseKeyIsLostCanBeForgotten loses one key and damages another: others
// have copies in the clear, which must not be out of reach for that.
func TestOneWhoseKeyIsLostCanBeForgotten(t *testing.T) {
	w := start(t)
	db, err := sqldb.Open(t.Context(), w.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	for how, statement := range map[string]string{
		"lost":    `DELETE FROM customer_key WHERE customer_id = $1`,
		"cut off": `UPDATE customer_key SET secret = substr(secret, 1, 7) WHERE customer_id = $1`,
		"another": `UPDATE customer_key SET secret = randomblob(32) WHERE customer_id = $1`,
	} {
		id := w.registered()
		w.Hears("customer.events.created.v1", id)
		sqldbtest.Exec(t, db, statement, id)
		sqldbtest.Eventually(t, how+": cannot be read", func() bool { return w.Get("/customers/"+id).Status == http.StatusInternalServerError })
		w.Call("PUT", "/customers/"+id+"/address", delft()).Refused(http.StatusInternalServerError, "internal")
		w.Call("POST", "/customers/"+id+"/forget", nil, "If-Match", `"7"`).Refused(412, "stale")
		for range 2 {
			if a := w.Call("POST", "/customers/"+id+"/forget", nil).Want(http.StatusOK); a.Text("status") != "forgotten" {
				t.Errorf("%s: %s", how, a.Body)
			}
		}
		if a := w.Get("/customers/" + id).Want(http.StatusOK); a.Text("name") != "forgotten" {
			t.Errorf("%s: read as %s", how, a.Body)
		}
		contractstest.Valid(t, w.Hears("customer.events.forgotten.v1", id))
	}
}
