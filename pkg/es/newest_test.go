package es_test

import (
	"errors"
	"testing"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
)

func TestTheLastEventsOfAStreamComeInOrder(t *testing.T) {
	server, store, _ := counters(t)
	writeMany(t, server, "counter-a", 5)
	for limit, want := range map[int][]es.Revision{1: {4}, 3: {2, 3, 4}, 5: {0, 1, 2, 3, 4}, 9: {0, 1, 2, 3, 4}} {
		events, err := store.ReadLast(within(t), "counter-a", limit)
		if err != nil || len(events) != len(want) {
			t.Fatalf("%d: %d events, %v", limit, len(events), err)
		}
		for i, revision := range want {
			if events[i].Revision != revision {
				t.Errorf("%d: event %d has revision %d", limit, i, events[i].Revision)
			}
		}
	}
	if _, err := store.ReadLast(within(t), "counter-none", 3); !errors.Is(err, es.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestTheNewestEventOfSomeStreamsIsFoundAmongOthers(t *testing.T) {
	server, store, counters := counters(t)
	newest := func(after es.Position) (newest, end es.Position) {
		newest, end, err := store.Newest(within(t), after, []string{"counter-", "other-"})
		if err != nil {
			t.Fatal(err)
		}
		if really, err := store.End(within(t)); err != nil || end != really {
			t.Errorf("end %d, really %d, %v", end, really, err)
		}
		return newest, end
	}
	_, end := newest(0)
	update(t, counters, cause.NewID(), 1)
	found, _ := newest(end)
	if _, there := newest(0); found != there { // it is the last of all
		t.Errorf("found %d, it is at %d", found, there)
	}
	writeMany(t, server, "strange-a", 20)
	if again, _ := newest(0); again != found {
		t.Errorf("among others: %d, not %d", again, found)
	}
	_, end = newest(0)
	writeMany(t, server, "strange-b", 3)
	if none, _ := newest(end); none != 0 {
		t.Errorf("there is none since: %d", none)
	}
	// Behind too many others it may be anywhere: it is taken to be the first of them.
	for range 5 {
		writeMany(t, server, "strange-c", 1000)
	}
	_, last := newest(end)
	if far, _ := newest(found); far <= end || far >= last {
		t.Errorf("%d, between %d and %d", far, end, last)
	}
}
