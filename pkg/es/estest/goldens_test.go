package estest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/es/estest"
)

// poured was written in decilitres first, and in millilitres later.
type poured struct {
	Millilitres int
	Into        vessel
}

type vessel struct{ Name string }

var errNothing = errors.New("nothing was poured")

// codec is right; a test replaces what it wants to be wrong.
type codec struct {
	encode func(poured) string
	decode func(data []byte) (poured, error)
}

func (c codec) Encode(_ context.Context, _ uuid.UUID, e poured) (es.Encoded, error) {
	return es.Encoded{Type: "poured", Version: 2, Data: []byte(c.encode(e))}, nil
}

func (c codec) Decode(_ context.Context, r es.Recorded) ([]poured, error) {
	current, err := schemas.Upcast(r)
	if err != nil {
		return nil, err
	}
	var events []poured
	for _, e := range current {
		event, err := c.decode(e.Data)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

var schemas = es.Schemas{{Type: "poured", Upcasters: []es.Upcaster{
	es.UpcastFrom(func(old struct {
		DL   int
		Into string
	},
	) ([]es.Encoded, error) {
		return []es.Encoded{{Type: "poured", Version: 2, Data: fmt.Appendf(nil, `{"ml":%d,"into":%q}`, 100*old.DL, old.Into)}}, nil
	}),
}}}

func encode(e poured) string { return fmt.Sprintf(`{"ml":%d,"into":%q}`, e.Millilitres, e.Into.Name) }

func decode(data []byte) (poured, error) {
	var e struct {
		ML   int
		Into string
	}
	err := json.Unmarshal(data, &e)
	if err == nil && e.ML == 0 {
		err = errNothing
	}
	return poured{e.ML, vessel{e.Into}}, err
}

// cup is what the tests below begin with, and change: a codec and goldens in
// which nothing is wrong.
func cup() (estest.Goldens[poured], fstest.MapFS) {
	means := []poured{{200, vessel{"cup"}}}
	goldens := estest.Goldens[poured]{
		Codec: codec{encode, decode}, Schemas: schemas,
		List: []estest.Golden[poured]{{Type: "poured", Version: 1, Means: means}, {Type: "poured", Version: 2, Means: means}},
	}
	files := fstest.MapFS{
		"poured.v1.json": {Data: []byte("{\"dl\":2,\"into\":\"cup\"}\n")},
		"poured.v2.json": {Data: []byte("{\n  \"ml\": 200,\n  \"into\": \"cup\"\n}\n")},
		estest.Sums: {Data: []byte("" +
			"0627ec548c3097200bf31db87fee4e04109e6ec4aae5fba363138c23a3a47ac2  poured.v1.json\n" +
			"15efd04e25619f29e4a9d2d35a5b98fae727355de107a461ba0af7341b815d90  poured.v2.json\n")},
	}
	return goldens, files
}

func TestACodecThatReadsEverythingHasNoFaults(t *testing.T) {
	goldens, folder := cup()
	folder["rapid/TestX/failed"] = &fstest.MapFile{}
	if faults := goldens.Faults(t.Context(), folder); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
}

func TestEachFaultIsFoundAndNamed(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(g *estest.Goldens[poured], folder fstest.MapFS)
		want  []string // how the faults begin
	}{
		"type without a golden": {func(g *estest.Goldens[poured], _ fstest.MapFS) {
			g.Schemas = append(es.Schemas{{Type: "spilt"}}, g.Schemas...)
		}, []string{"spilt version 1 has no golden"}},
		"version without a golden": {func(g *estest.Goldens[poured], _ fstest.MapFS) {
			g.List = g.List[1:]
		}, []string{"poured version 1 has no golden", "poured.v1.json is read by no test"}},
		"two schemas of a type": {func(g *estest.Goldens[poured], _ fstest.MapFS) {
			g.Schemas = append(g.Schemas[:1:1], es.Schema{Type: "poured"})
		}, []string{"poured has two schemas"}},
		"edited": {func(_ *estest.Goldens[poured], folder fstest.MapFS) {
			folder["poured.v1.json"].Data = []byte(`{"dl":2,"into":"cup" }`)
		}, []string{"poured.v1.json is edited"}},
		"removed": {func(_ *estest.Goldens[poured], folder fstest.MapFS) {
			delete(folder, "poured.v1.json")
		}, []string{"poured.v1.json is removed", "open poured.v1.json"}},
		"not recorded": {func(g *estest.Goldens[poured], folder fstest.MapFS) {
			g.List = append(g.List, estest.Golden[poured]{Type: "poured", Version: 2, Variant: "mug", Means: []poured{{1, vessel{"mug"}}}})
			folder["poured.v2.mug.json"] = &fstest.MapFile{Data: []byte("{\n  \"ml\": 1,\n  \"into\": \"mug\"\n}")}
		}, []string{"poured.v2.mug.json is not recorded: in its folder, sha256sum poured.v2.mug.json >> SHA256SUMS"}},
		"nothing recorded": {func(_ *estest.Goldens[poured], folder fstest.MapFS) {
			delete(folder, estest.Sums)
		}, []string{"poured.v1.json is not recorded", "poured.v2.json is not recorded"}},
		"record that is none": {func(_ *estest.Goldens[poured], folder fstest.MapFS) {
			folder[estest.Sums].Data = append(folder[estest.Sums].Data, "poured.v3.json\n"...)
		}, []string{"SHA256SUMS: no line of sha256sum"}},
		"means something else": {func(g *estest.Goldens[poured], _ fstest.MapFS) {
			g.List[0].Means = []poured{{2, vessel{"cup"}}}
		}, []string{"poured.v1.json is read as something else", "poured.v1.json is read as something else"}},
		"no longer read": {func(g *estest.Goldens[poured], _ fstest.MapFS) {
			g.Codec = codec{encode, func([]byte) (poured, error) { return poured{}, errNothing }}
		}, []string{"poured.v1.json is not read: nothing was poured", "poured.v2.json is not read: nothing was poured"}},
		"written otherwise": {func(g *estest.Goldens[poured], _ fstest.MapFS) {
			g.Codec = codec{func(e poured) string { return strings.Replace(encode(e), "}", `,"hot":true}`, 1) }, decode}
		}, []string{"poured.v2.json is no longer written as it was: add a version instead"}},
		"field that is not stored": {func(g *estest.Goldens[poured], folder fstest.MapFS) {
			g.Codec = codec{func(e poured) string { return fmt.Sprintf(`{"ml":%d}`, e.Millilitres) }, decode}
			g.List[0].Means, g.List[1].Means = []poured{{Millilitres: 200}}, []poured{{Millilitres: 200}}
			folder["poured.v1.json"].Data, folder["poured.v2.json"].Data = []byte(`{"dl":2}`), []byte("{\n  \"ml\": 200\n}")
			delete(folder, estest.Sums)
		}, []string{
			"poured.v1.json is not recorded", "poured.v2.json is not recorded",
			"estest_test.poured.Into is set in no golden", "estest_test.vessel.Name is set in no golden",
		}},
		"nothing taken for an event": {func(g *estest.Goldens[poured], _ fstest.MapFS) {
			g.Codec = codec{encode, func(data []byte) (poured, error) {
				e, err := decode(data)
				if errors.Is(err, errNothing) {
					err = nil
				}
				return e, err
			}}
		}, []string{
			"an event like poured.v1.json, but one that is an empty object, is taken for", "an event like poured.v1.json, but one that is null",
			"an event like poured.v2.json, but one that is an empty object, is taken for", "an event like poured.v2.json, but one that is null",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			goldens, folder := cup()
			test.spoil(&goldens, folder)
			found := goldens.Faults(t.Context(), folder)
			if len(found) != len(test.want) {
				t.Fatalf("found %q", found)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(found[i], want) {
					t.Errorf("found %q, want %q", found[i], want)
				}
			}
		})
	}
}
