package protocoltest

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
)

func aboutAll() []rule {
	rules := []rule{
		{name: "It shows everything that was written, hidden events, metadata and tombstones too, in order", ask: allShowsEverything},
		{name: "A position at which no event lies is invalid", ask: positionBetweenIsInvalid},
	}
	for _, r := range []struct {
		rule      string
		from      func(events []*esdb.RecordedEvent) esdb.AllPosition // of the four events a b c d
		direction esdb.Direction
		want      string // the first events of those four that come
	}{
		{"Forwards the position to start at is included", at(1), esdb.Forwards, "1:b 2:c 3:d"},
		{"Backwards the position to start at is excluded", at(2), esdb.Backwards, "1:b 0:a"},
		{"Backwards from the end the newest comes first", func([]*esdb.RecordedEvent) esdb.AllPosition { return esdb.End{} }, esdb.Backwards, "3:d 2:c 1:b 0:a"},
		{"The largest position means the end", func([]*esdb.RecordedEvent) esdb.AllPosition {
			return esdb.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}
		}, esdb.Backwards, "3:d 2:c 1:b 0:a"},
		{"Backwards from the start there is nothing", func([]*esdb.RecordedEvent) esdb.AllPosition { return esdb.Start{} }, esdb.Backwards, ""},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given("append any: a b c d")
			read, err := w.Client.ReadAll(within(t), esdb.ReadAllOptions{From: r.from(w.recordedIn("s")), Direction: r.direction}, math.MaxInt64)
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			var got []string
			for len(got) < 4 {
				e, err := read.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if e.OriginalEvent().Position == w.began {
					break // before it nothing is ours
				}
				if w.own(e.OriginalEvent()) {
					got = append(got, fmt.Sprintf("%d:%s", e.OriginalEvent().EventNumber, e.OriginalEvent().EventType))
				}
			}
			if diff := cmp.Diff(r.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		}})
	}
	return rules
}

// at is the position of one of the events.
func at(n int) func([]*esdb.RecordedEvent) esdb.AllPosition {
	return func(events []*esdb.RecordedEvent) esdb.AllPosition { return events[n].Position }
}

func allShowsEverything(t *testing.T, server Server) {
	w := newWorld(t, server)
	w.given("append any: a b", `metadata {"$maxCount":1}`, "append to t any: c", "delete any", "append any: d", "tombstone any")
	want := []string{
		"s 0 a", "s 1 b", "$$s 0 $metadata", "t 0 c", "$$s 1 $metadata", "s 2 d", "$$s 2 $metadata",
		"s 9223372036854775807 $streamDeleted",
	}
	var got []string
	var last uint64
	for _, e := range w.recorded() {
		got = append(got, fmt.Sprintf("%s %d %s", strings.Replace(e.StreamID, w.Prefix, "", 1), e.EventNumber, e.EventType))
		if e.Position.Commit <= last {
			t.Errorf("position %d follows %d", e.Position.Commit, last)
		}
		last = e.Position.Commit
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("$all (-want +got):\n%s", diff)
	}
}

func positionBetweenIsInvalid(t *testing.T, server Server) {
	w := newWorld(t, server)
	w.given("append any: a b")
	between := w.recordedIn("s")[1].Position
	between.Commit--
	between.Prepare--
	read, err := w.Client.ReadAll(within(t), esdb.ReadAllOptions{From: between}, 1)
	if err == nil {
		_, err = receiveAll(read)
	}
	if err == nil {
		t.Error("the position was taken")
	}
	_, err = w.Client.SubscribeToAll(within(t), esdb.SubscribeToAllOptions{From: between})
	if err == nil || !strings.Contains(err.Error(), "invalid position") {
		t.Errorf("subscribe: %v", err)
	}
}
