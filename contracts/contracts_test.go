package contracts_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts"
	"orderflow/pkg/eventbus"
)

// published is every contract that was ever published, with the fields that
// readers may rely on. It only grows, and never within a line: events from
// before a change are still stored, so a further field has to be optional.
var published = map[string][]string{
	"customer.events.created.v1":         {"customerId", "name", "email", "address", "occurredAt"},
	"customer.events.contact_changed.v1": {"customerId", "name", "email", "occurredAt"},
	"customer.events.address_changed.v1": {"customerId", "address", "occurredAt"},
	"customer.events.deactivated.v1":     {"customerId", "reason", "occurredAt"},
	"catalog.events.product_listed.v1":   {"sku", "name", "price", "occurredAt"},
	"catalog.events.price_changed.v1":    {"sku", "oldPrice", "newPrice", "occurredAt"},
	"order.events.placed.v1":             {"orderId", "customerId", "lines", "total", "occurredAt"},
	"order.events.placed.v2":             {"orderId", "customerId", "currency", "lines", "total", "occurredAt"},
	"order.events.cancelled.v1":          {"orderId", "customerId", "reason", "by", "occurredAt"},
	"packing.events.packed.v1":           {"orderId", "customerId", "packedBy", "occurredAt"},
	"packing.events.rejected.v1":         {"orderId", "reason", "occurredAt"},
	"dispatch.events.dispatched.v1":      {"orderId", "customerId", "carrier", "trackingNumber", "occurredAt"},
}

type schema struct {
	ID                   string                     `json:"$id"`
	Draft                string                     `json:"$schema"`
	Required             []string                   `json:"required"`
	Properties           map[string]json.RawMessage `json:"properties"`
	AdditionalProperties *bool                      `json:"additionalProperties"`
	Definitions          map[string]any             `json:"$defs"`
}

func parse(t *testing.T, typ string) schema {
	t.Helper()
	text, err := contracts.Schema(typ)
	if err != nil {
		t.Fatal(err)
	}
	var parsed schema
	if err := json.Unmarshal(text, &parsed); err != nil {
		t.Fatalf("contract %s: %v", typ, err)
	}
	return parsed
}

func TestEveryContractEverPublishedIsKept(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(published)), contracts.Types()); diff != "" {
		t.Errorf("types (-published +here):\n%s", diff)
	}
	for typ, fields := range published {
		contract := parse(t, typ)
		if diff := cmp.Diff(fields, contract.Required); diff != "" {
			t.Errorf("required fields of %s (-published +here):\n%s", typ, diff)
		}
		if contract.AdditionalProperties != nil {
			t.Errorf("%s says something of additional properties: it could not grow", typ)
		}
		if want := "urn:orderflow:contract:" + typ; contract.ID != want {
			t.Errorf("$id of %s is %q", typ, contract.ID)
		}
		if contract.Draft != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s is written in %q", typ, contract.Draft)
		}
	}
}

func TestTheSubjectIsARequiredFieldOfTheData(t *testing.T) {
	for _, typ := range contracts.Types() {
		subject, err := contracts.Subject(typ)
		if err != nil || !slices.Contains(parse(t, typ).Required, subject) {
			t.Errorf("subject of %s is %q (%v), which is no required field", typ, subject, err)
		}
	}
}

// Each schema is complete in itself, so that any validator can use it; what
// several of them define has to mean the same in all.
func TestDefinitionsOfOneNameAreTheSameEverywhere(t *testing.T) {
	first := map[string]any{}
	for _, typ := range contracts.Types() {
		for name, definition := range parse(t, typ).Definitions {
			if known, ok := first[name]; ok && !reflect.DeepEqual(known, definition) {
				t.Errorf("%s defines %q differently:\n%s", typ, name, cmp.Diff(known, definition))
			}
			first[name] = definition
		}
	}
}

func TestEveryTypeHasSamplesWithoutAndWithOptionalPartsAndInOtherScripts(t *testing.T) {
	for _, typ := range contracts.Types() {
		samples, err := contracts.Samples(typ)
		if err != nil {
			t.Fatal(err)
		}
		var foreign, traced, untraced bool
		for name, text := range samples {
			var e eventbus.Event
			if err := json.Unmarshal(text, &e); err != nil {
				t.Fatalf("sample %s of %s: %v", name, typ, err)
			}
			if e.Type != typ {
				t.Errorf("sample %s of %s is a %s", name, typ, e.Type)
			}
			foreign = foreign || slices.ContainsFunc([]rune(string(e.Data)), func(r rune) bool { return r > unicode.MaxASCII })
			traced, untraced = traced || e.TraceParent != "", untraced || e.TraceParent == ""
		}
		if len(samples) < 2 || !foreign || !traced || !untraced {
			t.Errorf("%s has %d samples; beyond ASCII %v, with traceparent %v, without %v", typ, len(samples), foreign, traced, untraced)
		}
	}
}

func TestUnknownContracts(t *testing.T) {
	for _, typ := range []string{"", "envelope", "order.events.placed", "order.events.placed.v3", "../contracts/envelope", "samples"} {
		_, schemaErr := contracts.Schema(typ)
		_, subjectErr := contracts.Subject(typ)
		_, samplesErr := contracts.Samples(typ)
		for _, err := range []error{schemaErr, subjectErr, samplesErr} {
			if !errors.Is(err, contracts.ErrUnknown) {
				t.Errorf("contract %q: %v, want ErrUnknown", typ, err)
			}
		}
	}
}
