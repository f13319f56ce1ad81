package contracts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts"
	"orderflow/contracts/shape"
	"orderflow/pkg/eventbus"
)

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

// TestContractsOnlyGrow holds the contracts against what is recorded of those that
// were published. What has grown is recorded with make contracts-record, which
// refuses everything else; and CI compares with the commit before, so that the
// record cannot be changed to fit.
func TestContractsOnlyGrow(t *testing.T) {
	recorded, err := shape.ReadRecord(os.DirFS("released"))
	if err != nil || len(recorded) == 0 {
		t.Fatalf("%d recorded, %v", len(recorded), err)
	}
	now, err := shape.Read(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range shape.Broken(recorded, now) {
		t.Error(broken)
	}
	if diff := cmp.Diff(recorded, now); diff != "" && !t.Failed() {
		t.Errorf("there is more than is recorded: make contracts-record\n%s", diff)
	}
}

func TestEveryContractCanGrow(t *testing.T) {
	for _, typ := range contracts.Types() {
		contract := parse(t, typ)
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

// The table in the README and readers.json say the same, and name services that
// there are.
func TestTheReadersAreTheOnesOfTheTable(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	within := map[string]string{"fulfilment": "order"} // sources that are a part of a service
	for _, typ := range contracts.Types() {
		readers := contracts.Readers(typ)
		owner := strings.TrimPrefix(contracts.Source(typ), "/orderflow/")
		publisher := owner
		if whole, ok := within[owner]; ok {
			owner, publisher = whole, fmt.Sprintf("%s (%s)", whole, owner)
		}
		who := strings.Join(readers, ", ")
		switch {
		case contracts.Retired(typ):
			who = "nobody any more; retired"
		case who == "":
			who = "nobody"
		}
		if row := fmt.Sprintf("| `%s` | %s | %s |", typ, publisher, who); !strings.Contains(string(readme), row) {
			t.Errorf("the table has no row %s", row)
		}
		for _, service := range append(readers, owner) {
			if _, err := os.Stat(filepath.Join("..", "services", service)); err != nil {
				t.Errorf("%s: %v", typ, err)
			}
		}
	}
}

// A line for a type that is misspelt, or none for one that there is, would look
// as if nobody read it.
func TestTheListsAreOfTheTypesThatThereAre(t *testing.T) {
	for name, all := range map[string]bool{"readers.json": true, "retired.json": false} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var lines map[string]any
		if err := json.Unmarshal(text, &lines); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for typ := range lines {
			if !slices.Contains(contracts.Types(), typ) {
				t.Errorf("%s has %s, which has no contract", name, typ)
			}
		}
		for _, typ := range contracts.Types() {
			if _, ok := lines[typ]; all && !ok {
				t.Errorf("%s has no line for %s: [] says that nobody reads it", name, typ)
			}
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
