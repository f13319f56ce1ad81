package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rest is how long nobody has to have read a type before its publisher may stop:
// for so long a reader may be put back to a release that reads it.
const rest = 30 * 24 * time.Hour

// retired fails when a type was retired too early by contracts in a folder: while
// somebody reads it, in the change with which its last reader leaves (it still
// has one in the folder base, unless that is empty), or before it has rested.
func retired(folder, base string, today time.Time) error {
	var readers, before map[string][]string
	var since, sinceBefore map[string]string
	if err := errors.Join(
		read(filepath.Join(folder, "readers.json"), &readers), read(filepath.Join(folder, "retired.json"), &since),
	); err != nil {
		return err
	}
	if base != "" {
		if err := errors.Join(
			read(filepath.Join(base, "readers.json"), &before), read(filepath.Join(base, "retired.json"), &sinceBefore),
		); err != nil {
			return err
		}
	}
	var wrong []string
	for _, typ := range slices.Sorted(maps.Keys(since)) {
		left, err := time.Parse(time.DateOnly, since[typ])
		_, known := sinceBefore[typ]
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %q is no day such as 2026-01-31", typ, since[typ]))
		case len(readers[typ]) > 0:
			wrong = append(wrong, fmt.Sprintf("%s is read by %s", typ, strings.Join(readers[typ], ", ")))
		case !known && len(before[typ]) > 0:
			wrong = append(wrong, fmt.Sprintf("%s was read by %s until this change: let it rest for %d days first", typ,
				strings.Join(before[typ], ", "), rest/(24*time.Hour)))
		case today.Before(left.Add(rest)):
			wrong = append(wrong, fmt.Sprintf("%s has had a reader until %s: it may be retired from %s on", typ,
				since[typ], left.Add(rest).Format(time.DateOnly)))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("retired.json says too early that nobody needs a type (docs/versions.md, When v1 may be retired)\n%s", strings.Join(wrong, "\n"))
	}
	return nil
}

// read reads a JSON file; one that is not there, as in a commit from before it
// was introduced, says nothing.
func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
