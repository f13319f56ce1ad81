package journey

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/service"
)

var start = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

func item(name, kind, id, causedBy string, ms int) Item {
	i := Item{Service: name, TraceItem: service.TraceItem{Kind: kind, ID: id, CausationID: causedBy, Type: kind, At: start.Add(time.Duration(ms) * time.Millisecond)}}
	i.Key = i.name()
	return i
}

func keys(items []Item) []string {
	var all []string
	for _, i := range items {
		all = append(all, i.Key)
	}
	return all
}

func TestEventIsFollowedFromServiceToService(t *testing.T) {
	got := Arrange([]Item{
		item("order", "http", "C", "", 0),
		item("order", "appended", "D", "C", 2),
		item("order", "published", "E", "D", 5),
		item("packing", "received", "E", "D", 9),
		item("crm", "received", "E", "D", 12),
		item("crm", "mailed", "M", "E", 13),
		item("packing", "http", "P", "", 4000),
		item("packing", "published", "F", "P", 4004),
		item("order", "received", "F", "P", 4006),
		item("order", "appended", "G", "F", 4008),
	})
	type step struct {
		From  string
		Doing string
		Took  float64
	}
	steps := map[string]step{}
	for _, i := range got {
		if len(i.From) > 0 {
			steps[i.Key] = step{i.From[0], i.Doing, i.TookMs}
		}
	}
	want := map[string]step{
		"order/appended/D": {"order/http/C", Working, 2},
		"order/out/E":      {"order/appended/D", Publishing, 3},
		"packing/in/E":     {"order/out/E", Travelling, 4},
		"crm/in/E":         {"order/out/E", Travelling, 7},
		"crm/mailed/M":     {"crm/in/E", Working, 1},
		"packing/out/F":    {"packing/http/P", Publishing, 4},
		"order/in/F":       {"packing/out/F", Travelling, 2},
		"order/appended/G": {"order/in/F", Working, 2},
	}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
}

func TestCauseStandsAboveWhatWasNotedBeforeIt(t *testing.T) {
	got := Arrange([]Item{
		item("order", "http", "C", "", 0),
		item("order", "appended", "D", "C", 2),
		item("order", "published", "E", "D", 9), // the confirmation came late
		item("crm", "mailed", "M", "E", 6),
		item("crm", "received", "E", "D", 7),
		item("packing", "received", "E", "D", 8),
	})
	want := []string{"order/http/C", "order/appended/D", "order/out/E", "crm/in/E", "crm/mailed/M", "packing/in/E"}
	if diff := cmp.Diff(want, keys(got)); diff != "" {
		t.Error(diff)
	}
	if took := got[3].TookMs; took != -2 {
		t.Errorf("crm received it %v ms after it was noted as published", took)
	}
}

func TestRowStandsBelowTheEventThatChangedIt(t *testing.T) {
	got := Arrange([]Item{
		item("dispatch", "http", "P", "", 0),
		item("reporting", "wrote", "R", "", 4),
		item("reporting", "received", "F", "P", 5),
		item("dispatch", "published", "F", "P", 6),
		item("dispatch", "wrote", "S", "", 1),
		item("crm", "received", "F", "P", 300),
		item("crm", "wrote", "T", "", 20), // of another moment
	})
	want := []string{
		"dispatch/http/P", "dispatch/wrote/S/wrote", "dispatch/out/F", "reporting/in/F", "reporting/wrote/R/wrote",
		"crm/wrote/T/wrote", "crm/in/F",
	}
	if diff := cmp.Diff(want, keys(got)); diff != "" {
		t.Error(diff)
	}
}

func TestIDsThatGoRoundInACircleAreStillShown(t *testing.T) {
	got := Arrange([]Item{
		item("order", "appended", "A", "B", 3),
		item("order", "appended", "B", "A", 2),
		item("order", "appended", "C", "C", 1),
	})
	if len(got) != 3 {
		t.Errorf("got %v", keys(got))
	}
}

// story draws services that answer each other's events, with clocks that differ.
func story(t *rapid.T) []Item {
	names := []string{"order", "packing", "dispatch", "crm"}
	items := []Item{item("order", "http", "0", "", 0)}
	for i := range rapid.IntRange(0, 30).Draw(t, "items") {
		from := items[rapid.IntRange(0, len(items)-1).Draw(t, "cause")]
		at := rapid.IntRange(-5, 60).Draw(t, "at")
		id := fmt.Sprint(i + 1)
		switch {
		case from.outgoing():
			reader := rapid.SampledFrom(names).Draw(t, "reader")
			next := item(reader, "received", from.ID, from.CausationID, at)
			if reader != from.Service && !slices.Contains(keys(items), next.Key) {
				items = append(items, next)
			}
		case rapid.Bool().Draw(t, "announced"):
			items = append(items, item(from.Service, "published", id, from.ID, at))
		default:
			items = append(items, item(from.Service, "appended", id, from.ID, at))
		}
	}
	return items
}

func TestEveryStoryIsToldWholeAndCausesFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := story(t)
		got := Arrange(slices.Clone(items))
		place := map[string]int{}
		for i, key := range keys(got) {
			place[key] = i
		}
		if len(place) != len(items) {
			t.Fatalf("%d of %d items", len(place), len(items))
		}
		for _, i := range got {
			for _, from := range i.From {
				if place[from] >= place[i.Key] {
					t.Fatalf("%s stands above its cause %s", i.Key, from)
				}
			}
		}
	})
}

func TestOrderDoesNotDependOnWhoAnsweredFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := story(t)
		shuffled := rapid.Permutation(items).Draw(t, "shuffled")
		if diff := cmp.Diff(keys(Arrange(slices.Clone(items))), keys(Arrange(slices.Clone(shuffled)))); diff != "" {
			t.Fatal(diff)
		}
	})
}
