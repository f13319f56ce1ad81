package journey

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		"order/appended/D": {{Working, 2}},
		"order/out/E":      {{Unsent, 3}},
		"packing/in/E":     {{Queued, 3}, {Working, 1}},
		"crm/in/E":         {{Queued, 7}, {Held, 488}},
		"crm/mailed/M":     {{Working, 10}, {Unsent, 190}},
		"reporting/in/E":   {{Queued, 15}, {Held, 0}},
		"packing/http/P":   {{Person, 3991}},
		"packing/out/F":    {{Working, 3}, {Unsent, 7}},
		"order/in/F":       {{Queued, 2}, {Working, 7}},
		"order/appended/G": {{Working, 5}},
	}
	if diff := cmp.Diff(want, spans); diff != "" {
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
