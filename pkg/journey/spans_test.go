package journey

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestWaitingIsToldFromWorking(t *testing.T) {
	since := func(i Item, ms, attempts int) Item {
		i.Since, i.Attempts = start.Add(time.Duration(ms)*time.Millisecond), attempts
		return i
	}
	got := Arrange([]Item{
		item("order", "http", "C", "", 0),
		item("order", "appended", "D", "C", 2),
		item("order", "published", "E", "D", 5),
		since(item("packing", "received", "E", "D", 9), 8, 1),
		since(item("crm", "received", "E", "D", 500), 12, 4),
		since(item("crm", "mailed", "M", "E", 700), 510, 1),
		since(item("reporting", "held", "E", "D", 20), 20, 1),
		item("packing", "http", "P", "", 4000),
		since(item("packing", "published", "F", "P", 4010), 4003, 0),
		since(item("order", "received", "F", "P", 4019), 4012, 1),
		item("order", "appended", "G", "F", 4017), // while the event was being handled
		item("order", "http", "K", "", 9000),      // a customer decides when they like
	})
	spans := map[string][]Span{}
	for _, i := range got {
		if i.Spans != nil {
			spans[i.Key] = i.Spans
		}
	}
	want := map[string][]Span{
		"order/appended/D": {{Doing: Working, Ms: 2}},
		"order/out/E":      {{Doing: Unsent, Ms: 3}},
		"packing/in/E":     {{Doing: Queued, Ms: 3}, {Doing: Working, Ms: 1}},
		"crm/in/E":         {{Doing: Queued, Ms: 7}, {Doing: Held, Ms: 488}},
		"crm/mailed/M":     {{Doing: Working, Ms: 10}, {Doing: Unsent, Ms: 190}},
		"reporting/in/E":   {{Doing: Queued, Ms: 15}, {Doing: Held, Ms: 0}},
		"packing/http/P":   {{Doing: Person, Ms: 3991}},
		"packing/out/F":    {{Doing: Working, Ms: 3}, {Doing: Unsent, Ms: 7}},
		"order/in/F":       {{Doing: Queued, Ms: 2}, {Doing: Working, Ms: 7}},
		"order/appended/G": {{Doing: Working, Ms: 5}},
	}
	if diff := cmp.Diff(want, spans, cmpopts.IgnoreFields(Span{}, "From")); diff != "" {
		t.Error(diff)
	}
}

// Clocks of two machines may differ by more than things take.
func TestNothingTookLessThanNoTime(t *testing.T) {
	received := item("packing", "received", "E", "D", 4)
	received.Since = start.Add(2 * time.Millisecond)
	got := Arrange([]Item{item("order", "published", "E", "D", 5), received})
	for _, i := range got {
		for _, s := range i.Spans {
			if s.Ms < 0 || s.Doing == Queued {
				t.Errorf("%s: %+v", i.Key, s)
			}
		}
	}
}

// What is handled while something else is, and what goes two ways at once, took
// its time once.
func TestTimeIsSpentOnceHoweverManySpendIt(t *testing.T) {
	received := item("order", "received", "F", "P", 60)
	received.Since = start.Add(10 * time.Millisecond)
	got := Arrange([]Item{
		item("order", "appended", "D", "", 0),
		item("order", "published", "E1", "D", 100), // in two versions
		item("order", "published", "E2", "D", 110),
		item("packing", "published", "F", "P", 5),
		received,                                // 50 ms of work,
		item("order", "appended", "G", "F", 40), // of which 30 are those of an effect,
		item("order", "appended", "H", "G", 55), // and 15 those of another
	})
	if diff := cmp.Diff(map[string]float64{Unsent: 110, Queued: 5, Working: 50}, Spent(got)); diff != "" {
		t.Error(diff)
	}
}

// Nobody packed it: that is what the time went by with.
func TestADeadlineThatPassesEndsWaitingForAPerson(t *testing.T) {
	step := func(name, typ string, ms int) Item {
		i := item("order", "appended", name, "", ms)
		i.Type = typ
		return i
	}
	received := item("packing", "received", "E", "D", 10)
	received.Type, received.Since = placedV1, start.Add(9*time.Millisecond)
	got := Arrange([]Item{received, step("late", "fulfilment-delayed", 1010), step("too late", "fulfilment-expired", 3010)})
	if spent := Spent(got); spent[Person] != 3000 {
		t.Errorf("%v", spent)
	}
}
