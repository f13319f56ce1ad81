package shape

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Shape is what readers of one type of event may rely on.
type Shape struct {
	// Subject names the field that is the subject of the events.
	Subject string `json:"subject,omitempty"`
	// Source is that of the events, where the type does not say it.
	Source string `json:"source,omitempty"`
	// Fields by their paths: total, lines, lines[] for what is in that list,
	// lines[].sku. The data itself has the path "".
	Fields map[string]Field `json:"fields"`
	// Samples by their names, as the SHA-256 of their files.
	Samples map[string]string `json:"samples,omitempty"`
}

// Field is what is said of one value.
type Field struct {
	// Required says that the value is there whenever that is which it is part of.
	Required bool `json:"required,omitempty"`
	// Is holds the keywords that limit the value: type, format, pattern, maximum
	// and so on.
	Is map[string]any `json:"is"`
}

// Schemas are in files of this ending, next to a folder of samples.
const (
	ending  = ".schema.json"
	samples = "samples"
)

// Read returns the shapes of all schemas in a folder, by type.
func Read(folder fs.FS) (map[string]Shape, error) {
	names, err := fs.Glob(folder, "*"+ending)
	if err != nil {
		return nil, err
	}
	shapes := make(map[string]Shape, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		typ := strings.TrimSuffix(name, ending)
		shape, err := Of(text)
		if err == nil {
			shape.Samples, err = digests(folder, path.Join(samples, typ))
		}
		if err != nil {
			return nil, fmt.Errorf("contract %s: %w", typ, err)
		}
		shapes[typ] = shape
	}
	return shapes, nil
}

func digests(folder fs.FS, name string) (map[string]string, error) {
	files, err := fs.Glob(folder, name+"/*.json")
	if err != nil || len(files) == 0 {
		return nil, err
	}
	digests := make(map[string]string, len(files))
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		digests[strings.TrimSuffix(path.Base(file), ".json")] = hex.EncodeToString(sum[:])
	}
	return digests, nil
}

// Of returns the shape of a JSON Schema, without samples.
func Of(schema []byte) (Shape, error) {
	var root map[string]any
	if err := json.Unmarshal(schema, &root); err != nil {
		return Shape{}, err
	}
	definitions, _ := root["$defs"].(map[string]any)
	subject, _ := root["x-subject"].(string)
	source, _ := root["x-source"].(string)
	w := walk{definitions: definitions, fields: map[string]Field{}}
	if err := w.value("", root, false, 0); err != nil {
		return Shape{}, err
	}
	return Shape{Subject: subject, Source: source, Fields: w.fields}, nil
}

// maxDepth is deeper than any event; beyond it a definition contains itself.
const maxDepth = 32

// walk goes through a schema, and through its definitions where it refers to them.
type walk struct {
	definitions map[string]any
	fields      map[string]Field
}

func (w walk) value(at string, schema map[string]any, required bool, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%q is in itself", at)
	}
	schema, err := w.resolve(at, schema)
	if err != nil {
		return err
	}
	field := Field{Required: required, Is: map[string]any{}}
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		switch keyword {
		case "type", "format", "pattern", "const", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems":
			field.Is[keyword] = schema[keyword]
		case "properties", "required", "items": // below
		case "$schema", "$id", "$defs", "$comment", "title", "description", "x-subject", "x-source": // promise nothing of the value
		default:
			return fmt.Errorf("%q says %q: what a change of that takes from readers is not known here", at, keyword)
		}
	}
	w.fields[at] = field
	items, list, err := said[map[string]any](at, schema, "items")
	if err != nil {
		return err
	}
	if list {
		if err := w.value(at+"[]", items, false, depth+1); err != nil {
			return err
		}
	}
	return w.properties(at, schema, depth)
}

// said returns what a schema says with a keyword, and whether it says anything.
func said[T any](at string, schema map[string]any, keyword string) (value T, ok bool, err error) {
	says, ok := schema[keyword]
	if !ok {
		return value, false, nil
	}
	if value, ok = says.(T); !ok {
		return value, false, fmt.Errorf("%q has %s that are not understood here: %v", at, keyword, says)
	}
	return value, true, nil
}

func (w walk) properties(at string, schema map[string]any, depth int) error {
	properties, _, err := said[map[string]any](at, schema, "properties")
	if err != nil {
		return err
	}
	required, _, err := said[[]any](at, schema, "required")
	if err != nil {
		return err
	}
	for _, name := range required {
		if _, ok := properties[fmt.Sprint(name)]; !ok {
			return fmt.Errorf("%q requires %q, of which it says nothing", at, name)
		}
	}
	for name, property := range properties {
		within, ok := property.(map[string]any)
		if !ok {
			return fmt.Errorf("%q is no schema", join(at, name))
		}
		if err := w.value(join(at, name), within, slices.Contains(required, any(name)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// resolve puts a definition in the place of a reference to it. What stands beside
// the reference is added.
func (w walk) resolve(at string, schema map[string]any) (map[string]any, error) {
	reference, ok := schema["$ref"].(string)
	if !ok {
		return schema, nil
	}
	name, local := strings.CutPrefix(reference, "#/$defs/")
	definition, defined := w.definitions[name].(map[string]any)
	if !local || !defined || definition["$ref"] != nil {
		return nil, fmt.Errorf("%q refers to %q, which is no definition of this schema", at, reference)
	}
	whole := maps.Clone(definition)
	for keyword, says := range schema {
		if keyword != "$ref" {
			whole[keyword] = says
		}
	}
	return whole, nil
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// parent is the path of the value that another one is part of.
func parent(at string) string {
	if list, ok := strings.CutSuffix(at, "[]"); ok {
		return list
	}
	i := strings.LastIndexByte(at, '.')
	return at[:max(i, 0)]
}
