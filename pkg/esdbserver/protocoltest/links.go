package protocoltest

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// links are events of type $> whose data is "revision@stream". What is asked for is the type of the event and of the link.
func links() []rule {
	var rules []rule
	for _, r := range []struct {
		rule, data string
		resolve    bool
		want       string
	}{
		{"A link leads to its target", "1@STREAM-target", true, "b by $>"},
		{"A link is left alone unless that is asked for", "1@STREAM-target", false, "$> by nothing"},
		{"A link is split at its first @", "0@STREAM-with@at", true, "f by $>"},
		{"A link to an event that never was leads nowhere", "7@STREAM-target", true, "nothing by $>"},
		{"A link to a stream that never was leads nowhere", "0@STREAM-nowhere", true, "nothing by $>"},
		{"A link into a tombstoned stream leads nowhere", "0@STREAM-ended", true, "nothing by $>"},
		{"A link to what metadata hides leads nowhere", "0@STREAM-short", true, "nothing by $>"},
		{"A link to a link goes one step", "0@STREAM-links", true, "$> by $>"},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given("append to -target any: a b", "append to -with@at any: f", "append to -ended any: c", "append to -short any: d e")
			w.Append("$$-short", "any", esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(`{"$maxCount":1}`)})
			if _, err := w.Client.TombstoneStream(within(t), w.Stream("-ended"), esdb.TombstoneStreamOptions{}); err != nil {
				t.Fatal(err)
			}
			link := strings.Replace(r.data, "STREAM", w.Stream(""), 1)
			w.Append("-links", "any", esdb.EventData{EventType: "$>", Data: []byte(link)}, esdb.EventData{EventType: "$>", Data: []byte(link)})
			read, err := w.Client.ReadStream(within(t), w.Stream("-links"), esdb.ReadStreamOptions{From: esdb.Revision(1), ResolveLinkTos: r.resolve}, 1)
			if err != nil {
				t.Fatal(err)
			}
			events, err := receiveAll(read)
			if err != nil || len(events) != 1 {
				t.Fatalf("%d events, %v", len(events), err)
			}
			if got := typeOf(events[0].Event) + " by " + typeOf(events[0].Link); got != r.want {
				t.Errorf("%q is %s, want %s", link, got, r.want)
			}
			if at := events[0].Commit; at == nil || *at != w.recordedIn("-links")[1].Position.Commit {
				t.Errorf("the position is not that of the link")
			}
		}})
	}
	return rules
}

func typeOf(e *esdb.RecordedEvent) string {
	if e == nil {
		return "nothing"
	}
	return e.EventType
}

// recordedIn is what the rule has written to one stream.
func (w *world) recordedIn(stream string) []*esdb.RecordedEvent {
	w.t.Helper()
	var events []*esdb.RecordedEvent
	for _, e := range w.recorded() {
		if e.StreamID == w.Stream(stream) {
			events = append(events, e)
		}
	}
	return events
}
