package esdbserver_test

import (
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// What reading promises to every client is in package protocoltest; this is what goes beyond it.

func TestDataThatIsNoLinkIsShownAsItIs(t *testing.T) {
	s := newScript(t)
	s.do("append to target any: a b")
	for _, data := range []string{"hello", "-1@target", "@target", "1@", "9999999999999999999@target", ""} {
		s.append("links", "any", esdb.EventData{EventType: "$>", Data: []byte(data)})
	}
	read, err := s.client.ReadStream(withPatience(t), "links", esdb.ReadStreamOptions{ResolveLinkTos: true}, 100)
	if err != nil {
		t.Fatal(err)
	}
	events, err := receiveAll(read)
	if err != nil || len(events) != 6 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range events {
		if e.Event == nil || e.Event.EventType != "$>" || e.Link != nil {
			t.Errorf("%q became event %v, link %v", e.OriginalEvent().Data, e.Event, e.Link)
		}
	}
}

func TestLongReadsAreWhole(t *testing.T) {
	for name, shape := range map[string]struct{ appends, events, size int }{
		"many small events": {3, 700, 10},
		"few large events":  {5, 1, 900_000},
	} {
		t.Run(name, func(t *testing.T) {
			store := esdbservertest.New(t, inDir(t))
			client := store.Client(t)
			for range shape.appends {
				events := make([]esdb.EventData, shape.events)
				for i := range events {
					events[i] = esdb.EventData{EventType: "x", Data: make([]byte, shape.size)}
				}
				if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, events...); err != nil {
					t.Fatal(err)
				}
			}
			total := shape.appends * shape.events
			for i, e := range store.Events(t, "s") {
				if e.EventNumber != uint64(i) {
					t.Fatalf("event %d follows %d", e.EventNumber, i-1)
				}
				total--
			}
			if total != 0 {
				t.Errorf("%d events are missing", total)
			}
			read, err := client.ReadStream(withPatience(t), "s", esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, math.MaxUint64)
			if err != nil {
				t.Fatal(err)
			}
			events, err := receiveAll(read)
			if err != nil || len(events) != shape.appends*shape.events {
				t.Fatalf("backwards: %d events, %v", len(events), err)
			}
			for i, e := range events {
				if e.Event.EventNumber != uint64(len(events)-1-i) {
					t.Fatalf("backwards: event %d at place %d", e.Event.EventNumber, i)
				}
			}
		})
	}
}
