package protocoltest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
)

// streamReads are asked of a stream with five events.
func streamReads() []rule {
	var rules []rule
	for _, r := range []struct {
		rule      string
		from      esdb.StreamPosition
		direction esdb.Direction
		count     uint64
		want      string
	}{
		{"From the start it shows everything", esdb.Start{}, esdb.Forwards, math.MaxInt64, "0:a 1:b 2:c 3:d 4:e"},
		{"It stops at the count", esdb.Start{}, esdb.Forwards, 2, "0:a 1:b"},
		{"Forwards the revision to start at is included", esdb.Revision(3), esdb.Forwards, 10, "3:d 4:e"},
		{"Forwards beyond the end there is nothing", esdb.Revision(9), esdb.Forwards, 10, ""},
		{"Backwards from the end the newest comes first", esdb.End{}, esdb.Backwards, 2, "4:e 3:d"},
		{"Backwards the revision to start at is included", esdb.Revision(1), esdb.Backwards, 10, "1:b 0:a"},
		{"Backwards from beyond the end it begins with the last", esdb.Revision(9), esdb.Backwards, 1, "4:e"},
		{"Backwards from the start there is one", esdb.Start{}, esdb.Backwards, 10, "0:a"},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given("append any: a b c d e")
			read, err := w.Client.ReadStream(within(t), w.Stream("s"), esdb.ReadStreamOptions{From: r.from, Direction: r.direction}, r.count)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.want, words(t, read)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		}})
	}
	return append(rules, rule{name: "A read longer than a page is whole, both ways", ask: longReadsAreWhole})
}

// words reads to the end and puts it as "revision:type ...".
func words(t *testing.T, read *esdb.ReadStream) string {
	t.Helper()
	events, err := receiveAll(read)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range events {
		all = append(all, fmt.Sprintf("%d:%s", e.OriginalEvent().EventNumber, e.OriginalEvent().EventType))
	}
	return strings.Join(all, " ")
}

func longReadsAreWhole(t *testing.T, server Server) {
	w := newWorld(t, server)
	const appends, each = 3, 500
	for range appends {
		events := make([]esdb.EventData, each)
		for i := range events {
			events[i] = esdb.EventData{EventType: "x", Data: make([]byte, 10)}
		}
		w.Append("s", "any", events...)
	}
	for direction, from := range map[esdb.Direction]esdb.StreamPosition{esdb.Forwards: esdb.Start{}, esdb.Backwards: esdb.End{}} {
		read, err := w.Client.ReadStream(within(t), w.Stream("s"), esdb.ReadStreamOptions{From: from, Direction: direction}, math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		events, err := receiveAll(read)
		if err != nil || len(events) != appends*each {
			t.Fatalf("direction %d: %d events, %v", direction, len(events), err)
		}
		for i, e := range events {
			want := uint64(i)
			if direction == esdb.Backwards {
				want = uint64(len(events) - 1 - i)
			}
			if e.Event.EventNumber != want {
				t.Fatalf("direction %d: event %d at place %d", direction, e.Event.EventNumber, i)
			}
		}
	}
}
