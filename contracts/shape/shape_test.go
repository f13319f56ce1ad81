package shape_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"orderflow/contracts/shape"
)

// schema is a contract with one of everything.
const schema = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "t", "x-subject": "id", "x-source": "/x",
	"type": "object", "required": ["id", "lines"],
	"properties": {
		"id": {"description": "an id", "$ref": "#/$defs/id"},
		"note": {"type": "string", "maxLength": 10},
		"lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}}
	},
	"$defs": {
		"id": {"type": "string", "format": "uuid"},
		"line": {"type": "object", "required": ["sku"], "properties": {"sku": {"enum": ["a", "b"]}, "gift": {"const": true}}}
	}
}`

func of(t *testing.T, text string) map[string]shape.Shape {
	t.Helper()
	s, err := shape.Of([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]shape.Shape{"t": s}
}

func TestAShapeIsWhatASchemaSaysFieldByField(t *testing.T) {
	want := shape.Shape{Subject: "id", Source: "/x", Fields: map[string]shape.Field{
		"":             {Is: map[string]any{"type": "object"}},
		"id":           {Required: true, Is: map[string]any{"type": "string", "format": "uuid"}},
		"note":         {Is: map[string]any{"type": "string", "maxLength": 10.0}},
		"lines":        {Required: true, Is: map[string]any{"type": "array", "minItems": 1.0}},
		"lines[]":      {Is: map[string]any{"type": "object"}},
		"lines[].sku":  {Required: true, Is: map[string]any{"enum": []any{"a", "b"}}},
		"lines[].gift": {Is: map[string]any{"const": true}},
	}}
	if diff := cmp.Diff(want, of(t, schema)["t"]); diff != "" {
		t.Error(diff)
	}
}

func TestAChangeThatTakesSomethingFromReadersIsFound(t *testing.T) {
	for what, change := range map[string]struct{ old, replacement, found string }{
		"field removed":           {`"note": {"type": "string", "maxLength": 10},`, ``, `t: "note" is removed`},
		"field renamed":           {`"note": {`, `"remark": {`, `t: "note" is removed`},
		"field of a list removed": {`, "gift": {"const": true}`, ``, `t: "lines[].gift" is removed`},
		"all of a list removed":   {`"items": {"$ref": "#/$defs/line"}`, `"maxItems": 9`, `t: "lines[]" is removed`},
		"field retyped":           {`"type": "string", "maxLength"`, `"type": "integer", "maxLength"`, `t: "note" is retyped: its type was "string" and is "integer"`},
		"definition retyped":      {`"format": "uuid"`, `"format": "email"`, `t: "id" is retyped: its format was "uuid" and is "email"`},
		"list made one":           {`"type": "array", "minItems": 1`, `"type": "object"`, `t: "lines" is retyped: its type was "array" and is "object"`},
		"narrower":                {`"maxLength": 10`, `"maxLength": 9`, `t: "note" is retyped: its maxLength was 10 and is 9`},
		"wider":                   {`["a", "b"]`, `["a", "b", "c"]`, `t: "lines[].sku" is retyped: its enum was ["a","b"] and is ["a","b","c"]`},
		"limited":                 {`"string", "maxLength"`, `"string", "minLength": 1, "maxLength"`, `t: "note" is retyped: its minLength was not said and is 1`},
		"optional made required":  {`["id", "lines"]`, `["id", "lines", "note"]`, `t: "note" is newly required`},
		"so in a list":            {`["sku"]`, `["sku", "gift"]`, `t: "lines[].gift" is newly required`},
		"new and required":        {`["sku"], "properties": {`, `["sku", "size"], "properties": {"size": {"type": "integer"},`, `t: "lines[].size" is newly required`},
		"required made optional":  {`["id", "lines"]`, `["lines"]`, `t: "id" is no longer required`},
		"another source":          {`"x-source": "/x"`, `"x-source": "/y"`, `t: the source was "/x" and is "/y"`},
		"another subject":         {`"x-subject": "id"`, `"x-subject": "note"`, `t: the subject was "id" and is "note"`},
	} {
		t.Run(what, func(t *testing.T) {
			changed := strings.Replace(schema, change.old, change.replacement, 1)
			if changed == schema {
				t.Fatalf("the schema has no %s", change.old)
			}
			if broken := shape.Broken(of(t, schema), of(t, changed)); !slices.Contains(broken, change.found) {
				t.Errorf("found %q, want %s", broken, change.found)
			}
		})
	}
}

func TestAChangeThatOnlyAddsIsNone(t *testing.T) {
	for what, change := range map[string]struct{ old, replacement string }{
		"nothing":          {`"title": "t"`, `"title": "t"`},
		"optional field":   {`"note": {`, `"more": {"type": "string"}, "note": {`},
		"optional object":  {`"note": {`, `"more": {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}}, "note": {`},
		"optional list":    {`"note": {`, `"more": {"type": "array", "items": {"type": "string"}}, "note": {`},
		"words":            {`"an id"`, `"the id of something"`},
		"definition moved": {`{"description": "an id", "$ref": "#/$defs/id"}`, `{"type": "string", "format": "uuid"}`},
	} {
		t.Run(what, func(t *testing.T) {
			if broken := shape.Broken(of(t, schema), of(t, strings.Replace(schema, change.old, change.replacement, 1))); len(broken) > 0 {
				t.Errorf("found %q", broken)
			}
		})
	}
}

// What is not understood could promise anything.
func TestASchemaThatSaysSomethingUnknownIsRefused(t *testing.T) {
	for what, text := range map[string]string{
		"no JSON":                   `{`,
		"a keyword":                 `{"type": "object", "oneOf": []}`,
		"a keyword inside":          `{"properties": {"a": {"items": {"additionalProperties": false}}}}`,
		"a reference elsewhere":     `{"properties": {"a": {"$ref": "other.json"}}}`,
		"a reference to nothing":    `{"properties": {"a": {"$ref": "#/$defs/b"}}}`,
		"a circle":                  `{"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"properties": {"b": {"$ref": "#/$defs/b"}}}}}`,
		"a chain of references":     `{"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"$ref": "#/$defs/c"}, "c": {}}}`,
		"required without a schema": `{"required": ["a"], "properties": {}}`,
		"property that is no one":   `{"properties": {"a": true}}`,
		"items that are none":       `{"properties": {"a": {"type": "array", "items": false}}}`,
		"items by their places":     `{"properties": {"a": {"type": "array", "items": [{"type": "string"}]}}}`,
		"properties in a list":      `{"properties": [{"a": {"type": "string"}}]}`,
		"required as a word":        `{"required": "a", "properties": {"a": {"type": "string"}}}`,
	} {
		t.Run(what, func(t *testing.T) {
			if s, err := shape.Of([]byte(text)); err == nil {
				t.Errorf("understood as %+v", s)
			}
		})
	}
}

func TestSamplesAndTypesStay(t *testing.T) {
	read := func(files map[string]string) map[string]shape.Shape {
		folder := fstest.MapFS{}
		for name, text := range files {
			folder[name] = &fstest.MapFile{Data: []byte(text)}
		}
		shapes, err := shape.Read(folder)
		if err != nil {
			t.Fatal(err)
		}
		return shapes
	}
	before := read(map[string]string{
		"a.v1.schema.json": `{}`, "samples/a.v1/one.json": `{"x":1}`, "samples/a.v1/two.json": `{}`, "b.v1.schema.json": `{}`,
	})
	after := read(map[string]string{
		"a.v1.schema.json": `{}`, "samples/a.v1/one.json": `{"x":2}`, "samples/a.v1/three.json": `{}`, "c.v1.schema.json": `{}`,
	})
	want := []string{"a.v1: sample one is edited", "a.v1: sample two is removed", "b.v1 is removed"}
	if diff := cmp.Diff(want, shape.Broken(before, after)); diff != "" {
		t.Error(diff)
	}
	if broken := shape.Broken(before, before); len(broken) > 0 {
		t.Errorf("found %q", broken)
	}
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	shapes, err := shape.Read(os.DirFS(".."))
	if err != nil || len(shapes) == 0 {
		t.Fatalf("%d contracts, %v", len(shapes), err)
	}
	folder := t.TempDir()
	if err := shape.WriteRecord(folder, shapes); err != nil {
		t.Fatal(err)
	}
	recorded, err := shape.ReadRecord(os.DirFS(folder))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shapes, recorded); diff != "" {
		t.Error(diff)
	}
}

// TestEveryPlantedChangeOfEveryContractIsFound changes each field of each real
// contract in each of the three ways that must not be, and each object by a field
// that is new and required.
func TestEveryPlantedChangeOfEveryContractIsFound(t *testing.T) {
	names, err := fs.Glob(os.DirFS(".."), "*.schema.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d contracts, %v", len(names), err)
	}
	planted := 0
	for _, name := range names {
		text, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		before := of(t, string(text))
		for _, change := range changesOf(t, text) {
			planted++
			if broken := shape.Broken(before, of(t, change.schema)); len(broken) == 0 {
				t.Errorf("%s: %s is not found", name, change.what)
			}
		}
	}
	if planted < 100 {
		t.Errorf("only %d changes", planted)
	}
}

type change struct{ what, schema string }

func changesOf(t *testing.T, text []byte) []change {
	t.Helper()
	var changes []change
	plant := func(what string, edit func(object map[string]any, name string)) {
		for n := 0; ; n++ { // the nth property of the schema
			var root map[string]any
			if err := json.Unmarshal(text, &root); err != nil {
				t.Fatal(err)
			}
			left := n
			object, name := property(root, &left)
			if object == nil {
				return
			}
			edit(object, name)
			changed, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			changes = append(changes, change{fmt.Sprintf("%s %s (%d)", name, what, n), string(changed)})
		}
	}
	plant("removed", func(object map[string]any, name string) {
		delete(object["properties"].(map[string]any), name)
		required, _ := object["required"].([]any)
		object["required"] = slices.DeleteFunc(required, func(r any) bool { return r == name })
	})
	plant("retyped", func(object map[string]any, name string) {
		object["properties"].(map[string]any)[name] = map[string]any{"type": "null"}
	})
	plant("required the other way round", func(object map[string]any, name string) {
		required, _ := object["required"].([]any)
		if i := slices.Index(required, any(name)); i >= 0 {
			object["required"] = slices.Delete(required, i, i+1)
		} else {
			object["required"] = append(required, name)
		}
	})
	plant("joined by a new one that is required", func(object map[string]any, _ string) {
		object["properties"].(map[string]any)["addedLater"] = map[string]any{"type": "string"}
		required, _ := object["required"].([]any)
		object["required"] = append(required, "addedLater")
	})
	return changes
}

// property finds the nth property in a schema: the object that has it, and its
// name.
func property(schema map[string]any, n *int) (object map[string]any, name string) {
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if *n--; *n < 0 {
			return schema, name
		}
	}
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		within, ok := schema[keyword].(map[string]any)
		if !ok {
			continue
		}
		if keyword == "items" {
			within = map[string]any{"items": within}
		}
		for _, name := range slices.Sorted(maps.Keys(within)) {
			if inner, ok := within[name].(map[string]any); ok && keyword != "required" {
				if object, name := property(inner, n); object != nil {
					return object, name
				}
			}
		}
	}
	return nil, ""
}
