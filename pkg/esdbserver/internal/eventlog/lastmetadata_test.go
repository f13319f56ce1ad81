package eventlog

import (
	"slices"
	"testing"

	"github.com/google/uuid"
)

func TestMetadataIsWhatWasWrittenLast(t *testing.T) {
	log := open(t, Options{})
	write := func(data string, isJSON bool) {
		t.Helper()
		event := Proposed{ID: uuid.New(), Type: TypeMetadata, JSON: isJSON, Data: []byte(data)}
		if _, err := log.Append(t.Context(), "$$s", Any, []Proposed{event}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		got, err := log.Metadata(t.Context(), "s")
		if err != nil || string(got) != want {
			t.Errorf("metadata %q, %v, want %q", got, err, want)
		}
	}
	expect("")
	write(`{"a":1}`, true)
	expect(`{"a":1}`)
	write(`{"b":2}`, true)
	expect(`{"b":2}`)
	write(`{"c":3}`, false)
	expect("")
}

func TestCommittedIsToldEverythingBeforeTheWriterIsAnswered(t *testing.T) {
	var told []string
	log := open(t, Options{Committed: func(events []*Event) {
		for _, e := range events {
			told = append(told, e.Stream)
		}
	}})
	for _, stream := range []string{"a", "b"} {
		if _, err := log.Append(t.Context(), stream, Any, []Proposed{{ID: uuid.New(), Type: "x"}, {ID: uuid.New(), Type: "y"}}); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(told, stream) { // no lock: the answer comes after it
			t.Errorf("answered, and told only %v", told)
		}
	}
	if _, err := log.Delete(t.Context(), "a", Any); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "a", "b", "b", "$$a"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
