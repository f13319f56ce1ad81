package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ReadRecord returns the shapes that [WriteRecord] has written into a folder.
func ReadRecord(folder fs.FS) (map[string]Shape, error) {
	names, err := fs.Glob(folder, "*.json")
	if err != nil {
		return nil, err
	}
	shapes := make(map[string]Shape, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		var shape Shape
		if err := json.Unmarshal(text, &shape); err != nil {
			return nil, fmt.Errorf("record %s: %w", name, err)
		}
		shapes[strings.TrimSuffix(path.Base(name), ".json")] = shape
	}
	return shapes, nil
}

// WriteRecord writes each shape into a file of its own, so that two changes
// rarely meet in one. It does not look at what is there: [Broken] does.
func WriteRecord(folder string, shapes map[string]Shape) error {
	for typ, shape := range shapes {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(shape); err != nil {
			return fmt.Errorf("record %s: %w", typ, err)
		}
		if err := os.WriteFile(filepath.Join(folder, typ+".json"), text.Bytes(), 0o644); err != nil { //nolint:gosec // for everybody
			return err
		}
	}
	return nil
}
