package estest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/es"
)

// Golden is an event as it was written once. A line in a list of goldens is
// never removed; what it means today may be put into other words.
type Golden[E any] struct {
	Type    string
	Version int
	// Variant tells files of the same version apart; empty for the first.
	Variant string
	// Means is what the event is read as. It is one event when Version is the
	// newest, and is then also written as the golden.
	Means []E
}

// File is the name of the file that holds the data of the event.
func (g Golden[E]) File() string {
	name := g.Type + ".v" + strconv.Itoa(g.Version)
	if g.Variant != "" {
		name += "." + g.Variant
	}
	return name + ".json"
}

// Goldens are every version of every event that was ever written of one kind of
// aggregate.
type Goldens[E any] struct {
	Codec es.Codec[E]
	// Schemas are those that Codec reads by.
	Schemas es.Schemas
	// Aggregate is the one that the events are of; codecs that seal need it.
	Aggregate uuid.UUID
	List      []Golden[E]
}

// Sums is the name of the file that records the goldens.
const Sums = "SHA256SUMS"

// Check marks the test as failed for each of the [Goldens.Faults] with the files
// in the folder testdata.
func (g Goldens[E]) Check(t testing.TB) {
	t.Helper()
	for _, fault := range g.Faults(t.Context(), os.DirFS("testdata")) {
		t.Error(fault)
	}
}

// Faults lists in which ways a codec does not keep the promise of this package
// with the goldens in a folder, a line or more each; none when it does.
func (g Goldens[E]) Faults(ctx context.Context, folder fs.FS) []string {
	f := &faults{}
	g.completeness(f)
	record(f, folder, g.files(f, folder))
	fields := fields{}
	for _, golden := range g.List {
		text, err := fs.ReadFile(folder, golden.File())
		if err != nil {
			f.add("%v", err)
			continue
		}
		g.reading(ctx, f, golden, text)
		if golden.Version == g.newest(golden.Type) {
			g.writing(ctx, f, golden, text)
			fields.see(golden.Means)
		}
	}
	for _, field := range fields.unset() {
		f.add("%s is set in no golden of a newest version: nobody would notice if it were not stored", field)
	}
	return f.list
}

type faults struct{ list []string }

func (f *faults) add(format string, args ...any) {
	f.list = append(f.list, fmt.Sprintf(format, args...))
}

// newest is the newest version of a type, 0 when it has no schema.
func (g Goldens[E]) newest(typ string) int {
	for _, schema := range g.Schemas {
		if schema.Type == typ {
			return schema.Newest()
		}
	}
	return 0
}

// completeness finds versions without a golden.
func (g Goldens[E]) completeness(f *faults) {
	seen := map[string]bool{}
	for _, schema := range g.Schemas {
		if seen[schema.Type] {
			f.add("%s has two schemas: only the first is used", schema.Type)
		}
		seen[schema.Type] = true
		for version := range schema.Newest() {
			if !slices.ContainsFunc(g.List, func(golden Golden[E]) bool {
				return golden.Type == schema.Type && golden.Version == version+1
			}) {
				f.add("%s version %d has no golden", schema.Type, version+1)
			}
		}
	}
}

// files returns the digests of the files in the folder by their names, and finds
// those that are no golden's.
func (g Goldens[E]) files(f *faults, folder fs.FS) map[string]string {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		f.add("%v", err)
	}
	digests := make(map[string]string, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		if name == Sums || entry.IsDir() { // what else a test needs, or leaves, has a folder of its own
			continue
		}
		if !slices.ContainsFunc(g.List, func(golden Golden[E]) bool { return golden.File() == name }) {
			f.add("%s is read by no test", name)
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			f.add("%v", err)
			continue
		}
		sum := sha256.Sum256(text)
		digests[name] = hex.EncodeToString(sum[:])
	}
	return digests
}

// record compares files with what is recorded of them.
func record(f *faults, folder fs.FS, digests map[string]string) {
	text, err := fs.ReadFile(folder, Sums)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.add("%v", err)
	}
	recorded := map[string]string{}
	for line := range strings.Lines(string(text)) {
		digest, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			f.add("%s: no line of sha256sum: %q", Sums, line)
			continue
		}
		recorded[name] = digest
	}
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		switch digests[name] {
		case recorded[name]:
		case "":
			f.add("%s is removed: what was written once is read for ever", name)
		default:
			f.add("%s is edited, and event stores hold what it was: put it back, and add a version, or a variant, beside it", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		if recorded[name] == "" {
			f.add("%s is not recorded: in its folder, sha256sum %s >> %s", name, name, Sums)
		}
	}
}

func (g Goldens[E]) recorded(golden Golden[E], data []byte) es.Recorded {
	return es.Recorded{
		Type: golden.Type, Stream: es.StreamName("golden", g.Aggregate), Data: data, Metadata: es.Metadata{Version: golden.Version},
	}
}

// reading reads a golden, and what it could be mistaken for.
func (g Goldens[E]) reading(ctx context.Context, f *faults, golden Golden[E], text []byte) {
	for range 2 { // it means the same each time
		events, err := g.Codec.Decode(ctx, g.recorded(golden, text))
		if err != nil {
			f.add("%s is not read: %v", golden.File(), err)
			return
		}
		if diff := cmp.Diff(golden.Means, events); diff != "" {
			f.add("%s is read as something else (-it means +it is read as):\n%s", golden.File(), diff)
		}
	}
	unreadable, unversioned, newer := g.recorded(golden, text), g.recorded(golden, text), g.recorded(golden, text)
	unreadable.Unreadable = es.ErrUnreadable
	unversioned.Metadata.Version = 0
	newer.Metadata.Version = g.newest(golden.Type) + 1
	for _, wrong := range []struct {
		what string
		es.Recorded
	}{
		{"without readable metadata", unreadable},
		{"without a version", unversioned},
		{"of a version from later", newer},
		{"that is an empty object", g.recorded(golden, []byte(`{}`))},
		{"that is null", g.recorded(golden, []byte(`null`))},
		{"without data", g.recorded(golden, nil)},
		{"that is cut off", g.recorded(golden, text[:len(text)/2])},
	} {
		if events, err := g.Codec.Decode(ctx, wrong.Recorded); err == nil {
			f.add("an event like %s, but one %s, is taken for %+v", golden.File(), wrong.what, events)
		}
	}
}

// writing holds what is written today against a golden of the newest version.
func (g Goldens[E]) writing(ctx context.Context, f *faults, golden Golden[E], text []byte) {
	if len(golden.Means) != 1 {
		f.add("%s is of the newest version, which means itself, and here %d events", golden.File(), len(golden.Means))
		return
	}
	encoded, err := g.Codec.Encode(ctx, g.Aggregate, golden.Means[0])
	if err != nil {
		f.add("%s is not written: %v", golden.File(), err)
		return
	}
	if encoded.Type != golden.Type || encoded.Version != golden.Version {
		f.add("%s is written as %s version %d", golden.File(), encoded.Type, encoded.Version)
		return
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, encoded.Data, "", "  "); err != nil {
		f.add("%s is written as no JSON: %v", golden.File(), err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(text)), indented.String()); diff != "" {
		f.add("%s is no longer written as it was: add a version instead (-it was +it is)\n%s", golden.File(), diff)
	}
}
