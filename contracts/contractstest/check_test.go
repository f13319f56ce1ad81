package contractstest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/contracts"
	"orderflow/contracts/contractstest"
	"orderflow/pkg/eventbus"
)

func TestEverySampleKeepsItsContract(t *testing.T) {
	for _, typ := range contracts.Types() {
		for _, e := range contractstest.Samples(t, typ) {
			contractstest.Valid(t, e)
		}
	}
}

// What was written to the files passes as it is, not only after the round trip
// through Event.
func TestSamplesSurviveTheEnvelope(t *testing.T) {
	for _, typ := range contracts.Types() {
		texts, err := contracts.Samples(typ)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range texts {
			var before, after map[string]any
			var e eventbus.Event
			if err := json.Unmarshal(text, &e); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if json.Unmarshal(text, &before) != nil || json.Unmarshal(again, &after) != nil {
				t.Fatalf("sample %s of %s is no JSON object", name, typ)
			}
			for attribute := range maps.Keys(before) {
				if attribute != "partitionkey" && fmt.Sprint(before[attribute]) != fmt.Sprint(after[attribute]) {
					t.Errorf("sample %s of %s: %s was %v and is %v", name, typ, attribute, before[attribute], after[attribute])
				}
			}
		}
	}
}

func TestEventWithoutARequiredFieldIsRefused(t *testing.T) {
	for _, typ := range contracts.Types() {
		for _, e := range contractstest.Samples(t, typ) {
			var data map[string]any
			if err := json.Unmarshal(e.Data, &data); err != nil {
				t.Fatal(err)
			}
			for field, value := range data {
				if !required(t, typ, field) {
					continue
				}
				delete(data, field)
				refused(t, with(t, e, data), field)
				data[field] = nil
				refused(t, with(t, e, data), field)
				data[field] = value
			}
		}
	}
}

func required(t *testing.T, typ, field string) bool {
	t.Helper()
	text, err := contracts.Schema(typ)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Required []string }
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	return slices.Contains(schema.Required, field)
}

func TestBrokenDataIsRefused(t *testing.T) {
	for _, broken := range []struct{ typ, old, replacement string }{
		{"order.events.placed.v1", `"currency": "EUR"`, `"currency": "eur"`},
		{"order.events.placed.v1", `"amount": 900`, `"amount": "900"`},
		{"order.events.placed.v1", `"amount": 900`, `"amount": 9.5`},
		{"order.events.placed.v1", `"amount": 900`, `"amount": -1`},
		{"order.events.placed.v1", `"amount": 900`, `"amount": 9007199254740992`},
		{"order.events.placed.v1", `"quantity": 2`, `"quantity": 0`},
		{"order.events.placed.v1", `"quantity": 2`, `"quantity": 1.5`},
		{"order.events.placed.v1", `"unitPrice"`, `"price"`},
		{"order.events.placed.v1", `"customerId": "0`, `"customerId": "urn:uuid:0`},
		{"order.events.cancelled.v1", `"by": "customer"`, `"by": "somebody"`},
		{"order.events.cancelled.v1", `"by": "packing"`, `"by": ""`},
		{"customer.events.created.v1", `"country": "GB"`, `"country": "United Kingdom"`},
		{"customer.events.created.v1", `"email": "anna@example.com"`, `"email": "anna"`},
		{"customer.events.address_changed.v1", `"line2": "Appartement 4 bis"`, `"line2": ""`},
		{"customer.events.address_changed.v1", `"city"`, `"town"`},
		{"customer.events.deactivated.v1", `"reason": "asked us to"`, `"reason": "   "`},
		{"customer.events.deactivated.v1", `Z"`, `+00:00"`},
		{"catalog.events.product_listed.v1", `"sku": "tea"`, `"sku": ""`},
		{"catalog.events.price_changed.v1", `"newPrice": {`, `"newPrice": 495, "x": {`},
		{"packing.events.packed.v1", `"packedBy": "Piet"`, `"packedBy": ["Piet"]`},
		{"packing.events.rejected.v1", `"reason": "out of stock"`, `"reason": null`},
		{"dispatch.events.dispatched.v1", `"carrier": "DHL"`, `"carrier": 7`},
	} {
		hit := false
		for _, e := range contractstest.Samples(t, broken.typ) {
			if changed := strings.Replace(string(e.Data), broken.old, broken.replacement, 1); changed != string(e.Data) {
				hit = true
				e.Data = []byte(changed)
				refused(t, e, broken.replacement)
			}
		}
		if !hit {
			t.Errorf("no sample of %s has %s", broken.typ, broken.old)
		}
	}
}

func TestBrokenEnvelopeIsRefused(t *testing.T) {
	for what, damage := range map[string]func(*eventbus.Event){
		"type nobody declared":  func(e *eventbus.Event) { e.Type = "order.events.lost.v1" },
		"no type":               func(e *eventbus.Event) { e.Type = "" },
		"another service":       func(e *eventbus.Event) { e.Source = "/orderflow/crm" },
		"source without slash":  func(e *eventbus.Event) { e.Source = "order" },
		"subject of customer":   func(e *eventbus.Event) { e.Subject = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f" },
		"no subject":            func(e *eventbus.Event) { e.Subject = "" },
		"id that is no UUID":    func(e *eventbus.Event) { e.ID = "42" },
		"no id":                 func(e *eventbus.Event) { e.ID = "" },
		"another time":          func(e *eventbus.Event) { e.Time = e.Time.Add(time.Microsecond) },
		"no time":               func(e *eventbus.Event) { e.Time = time.Time{} },
		"no correlation id":     func(e *eventbus.Event) { e.CorrelationID = "" },
		"no causation id":       func(e *eventbus.Event) { e.CausationID = "" },
		"broken trace context":  func(e *eventbus.Event) { e.TraceParent = "00-1-2-01" },
		"negative sequence":     func(e *eventbus.Event) { e.Sequence = -1 },
		"other content type":    func(e *eventbus.Event) { e.DataContentType = "text/plain" },
		"no data":               func(e *eventbus.Event) { e.Data = nil },
		"data that is no JSON":  func(e *eventbus.Event) { e.Data = []byte(`{"orderId":`) },
		"data that is a list":   func(e *eventbus.Event) { e.Data = []byte(`[]`) },
		"control character":     func(e *eventbus.Event) { e.CausationID = "a\x00b" },
		"subject beyond limits": func(e *eventbus.Event) { e.Subject = strings.Repeat("x", 256) },
	} {
		for _, e := range contractstest.Samples(t, "order.events.placed.v1") {
			damage(&e)
			refused(t, e, what)
		}
	}
}

// A reader of today meets the publisher of tomorrow.
func TestFurtherFieldsAreAllowed(t *testing.T) {
	for _, typ := range contracts.Types() {
		for _, e := range contractstest.Samples(t, typ) {
			var data map[string]any
			if err := json.Unmarshal(e.Data, &data); err != nil {
				t.Fatal(err)
			}
			data["addedLater"] = map[string]any{"a": 1}
			contractstest.Valid(t, with(t, e, data))
		}
	}
}

func TestValidFailsTheTestOfAPublisherThatBreaksAContract(t *testing.T) {
	e := contractstest.Samples(t, "packing.events.packed.v1")[0]
	recorder := &failures{TB: t}
	contractstest.Valid(recorder, e)
	if recorder.count != 0 {
		t.Fatalf("a valid event failed the test: %v", recorder)
	}
	e.Source = "/orderflow/order"
	contractstest.Valid(recorder, e)
	if recorder.count != 1 {
		t.Errorf("%d failures for an event of the wrong source, want 1", recorder.count)
	}
}

// A reader that the list does not know of would not be asked before a type is
// retired, and one that no longer is keeps it alive.
func TestReadsFailsTheTestOfAReaderThatIsNotOnTheList(t *testing.T) {
	const listed = "catalog.events.price_changed.v1"
	var right []string
	for _, typ := range contracts.Types() {
		if slices.Contains(contracts.Readers(typ), "dispatch") {
			right = append(right, typ)
		}
	}
	for what, test := range map[string]struct {
		patterns []string
		failures int
	}{
		"as listed":       {right, 0},
		"one is missing":  {right[1:], 1},
		"one is too many": {append(slices.Clone(right), listed), 1},
		"no contract":     {append(slices.Clone(right), "order.events.lost.v1"), 1},
	} {
		recorder := &failures{TB: t}
		samples := contractstest.Reads(recorder, "dispatch", test.patterns)
		if recorder.count != test.failures {
			t.Errorf("%s: %d failures, want %d", what, recorder.count, test.failures)
		}
		if len(samples) < 4*2 {
			t.Errorf("%s: only %d samples", what, len(samples))
		}
	}
}

// A type may disappear only when the lists say so, and they say so only when
// nobody reads it.
func TestPublishesFailsTheTestOfAPublisherThatStopsTooEarly(t *testing.T) {
	const source, v1, v2 = "/orderflow/order", "order.events.placed.v1", "order.events.placed.v2"
	all := []string{v1, v2, "order.events.cancelled.v1"}
	for what, test := range map[string]struct {
		published []string
		retired   string
		fault     string
	}{
		"everything":                   {all, "", ""},
		"without v1, which is read":    {all[1:], "", "/orderflow/order no longer publishes order.events.placed.v1, which packing, crm, reporting still reads"},
		"without v1, which is retired": {all[1:], v1, ""},
		"v1 although it is retired":    {all, v1, "order.events.placed.v1 is retired, and /orderflow/order publishes it"},
	} {
		faults := contractstest.Publishing(source, test.published, func(typ string) bool { return typ == test.retired })
		if test.fault == "" && len(faults) > 0 || test.fault != "" && (len(faults) != 1 || !strings.HasPrefix(faults[0], test.fault)) {
			t.Errorf("%s: %q, want %q", what, faults, test.fault)
		}
	}
	recorder := &failures{TB: t}
	contractstest.Publishes(recorder, "/orderflow/dispatch", contractstest.Samples(t, "dispatch.events.dispatched.v1"))
	if recorder.count != 0 {
		t.Errorf("%d failures of a publisher of what it should", recorder.count)
	}
	contractstest.Publishes(recorder, "/orderflow/dispatch", nil)
	if recorder.count != 1 {
		t.Errorf("%d failures of a publisher of nothing, want 1", recorder.count)
	}
}

type failures struct {
	testing.TB

	count int
}

func (f *failures) Errorf(string, ...any) { f.count++ }
func (f *failures) Error(...any)          { f.count++ }

func with(t *testing.T, e eventbus.Event, data map[string]any) eventbus.Event {
	t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	e.Data = text
	return e
}

func refused(t *testing.T, e eventbus.Event, what string) {
	t.Helper()
	if contractstest.Check(e) == nil {
		t.Errorf("%s: passes as a valid event of type %s: %s", what, e.Type, e.Data)
	}
}
