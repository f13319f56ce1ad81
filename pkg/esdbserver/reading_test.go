package esdbserver_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestReadingAStreamFollowsTheRule(t *testing.T) {
	s := newScript(t)
	s.do("append any: a b c d e")
	for _, test := range []struct {
		rule  string
		from  esdb.StreamPosition
		back  bool
		count uint64
		want  string
	}{
		{"From the start it shows everything", esdb.Start{}, false, math.MaxUint64, "0:a 1:b 2:c 3:d 4:e"},
		{"It stops at the count", esdb.Start{}, false, 2, "0:a 1:b"},
		{"Forwards the revision to start at is included", esdb.Revision(3), false, 10, "3:d 4:e"},
		{"Forwards beyond the end there is nothing", esdb.Revision(9), false, 10, ""},
		{"Backwards from the end the newest comes first", esdb.End{}, true, 2, "4:e 3:d"},
		{"Backwards the revision to start at is included", esdb.Revision(1), true, 10, "1:b 0:a"},
		{"Backwards from beyond the end it begins with the last", esdb.Revision(9), true, 1, "4:e"},
		{"Backwards from the start there is one", esdb.Start{}, true, 10, "0:a"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			options := esdb.ReadStreamOptions{From: test.from}
			if test.back {
				options.Direction = esdb.Backwards
			}
			read, err := s.client.ReadStream(withPatience(t), "s", options, test.count)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, words(t, read)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
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

func TestRecordedEventIsWhatWasProposed(t *testing.T) {
	store := esdbservertest.New(t, inDir(t))
	client := store.Client(t)
	at := time.Date(2024, 2, 29, 12, 0, 0, 123456700, time.UTC)
	store.SetClock(at)
	proposed := []esdb.EventData{
		{EventID: uuid.New(), EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: []byte(`{"a":1}`), Metadata: []byte(`{"b":2}`)},
		{EventID: uuid.New(), EventType: "bytes \x00 and ünïcode 🚚", ContentType: esdb.ContentTypeBinary, Data: []byte{0, 1, 0xff}},
		{EventID: uuid.New(), EventType: "not-json-though-it-says-so", ContentType: esdb.ContentTypeJson, Data: []byte(`{`)},
	}
	const stream = "ünïcode-🚚"
	written, err := client.AppendToStream(withPatience(t), stream, esdb.AppendToStreamOptions{}, proposed...)
	if err != nil {
		t.Fatal(err)
	}
	recorded := store.Events(t, stream)
	if len(recorded) != len(proposed) {
		t.Fatalf("%d events", len(recorded))
	}
	for i, got := range recorded {
		want := proposed[i]
		contentType := "application/json"
		if want.ContentType == esdb.ContentTypeBinary {
			contentType = "application/octet-stream"
		}
		if got.EventID != want.EventID || got.EventType != want.EventType || got.ContentType != contentType || got.StreamID != stream ||
			got.EventNumber != uint64(i) || !got.CreatedDate.Equal(at) || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.UserMetadata, want.Metadata) {
			t.Errorf("proposed %+v\nrecorded %+v", want, got)
		}
		if got.SystemMetadata["created"] != fmt.Sprint(at.UnixNano()/100) {
			t.Errorf("created is %q", got.SystemMetadata["created"])
		}
		if got.Position.Commit == 0 || got.Position.Commit != got.Position.Prepare {
			t.Errorf("position %+v", got.Position)
		}
	}
	if last := recorded[len(recorded)-1].Position; written.CommitPosition != last.Commit || written.PreparePosition != last.Prepare {
		t.Errorf("the append answered position %d, its last event is at %+v", written.CommitPosition, last)
	}
}

func TestEventsOlderThanMaxAgeAreHidden(t *testing.T) {
	s := newScript(t)
	s.store.SetClock(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	s.do(`metadata {"$maxAge":60}`)
	s.do("append any: a")
	s.store.Advance(40 * time.Second)
	s.do("append any: b")
	for _, step := range []struct {
		later time.Duration
		want  string
	}{{0, "0:a 1:b"}, {20 * time.Second, "0:a 1:b"}, {time.Second, "1:b"}, {time.Hour, ""}} {
		s.store.Advance(step.later)
		if got := s.content("s"); got != step.want {
			t.Errorf("%v later: %q, want %q", step.later, got, step.want)
		}
	}
	if got := len(s.store.All(t)); got != 3 {
		t.Errorf("$all shows %d events, want all 3: nothing expires there", got)
	}
}

func TestAllShowsEverythingThatWasWritten(t *testing.T) {
	s := newScript(t)
	for _, line := range []string{
		"append any: a b", `metadata {"$maxCount":1}`, "append to t any: c", "delete any", "append any: d", "tombstone any",
	} {
		s.do(line)
	}
	want := []string{
		"s 0 a", "s 1 b", "$$s 0 $metadata", "t 0 c", "$$s 1 $metadata", "s 2 d", "$$s 2 $metadata",
		"s 9223372036854775807 $streamDeleted",
	}
	var got []string
	var last uint64
	for _, e := range s.store.All(t) {
		got = append(got, fmt.Sprintf("%s %d %s", e.StreamID, e.EventNumber, e.EventType))
		if e.Position.Commit <= last {
			t.Errorf("position %d follows %d", e.Position.Commit, last)
		}
		last = e.Position.Commit
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("$all (-want +got):\n%s", diff)
	}
}

func TestReadingAllFollowsTheRule(t *testing.T) {
	s := newScript(t)
	s.do("append any: a b c d")
	all := s.store.All(t)
	for _, test := range []struct {
		rule string
		from esdb.AllPosition
		back bool
		n    uint64
		want string
	}{
		{"Forwards the position to start at is included", all[1].Position, false, 2, "1:b 2:c"},
		{"Backwards the position to start at is excluded", all[2].Position, true, 10, "1:b 0:a"},
		{"Backwards from the end the newest comes first", esdb.End{}, true, 2, "3:d 2:c"},
		{"Backwards from the start there is nothing", esdb.Start{}, true, 10, ""},
		{"The largest position means the end", esdb.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}, true, 1, "3:d"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			options := esdb.ReadAllOptions{From: test.from}
			if test.back {
				options.Direction = esdb.Backwards
			}
			read, err := s.client.ReadAll(withPatience(t), options, test.n)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, words(t, read)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("A position at which no event lies is invalid", func(t *testing.T) {
		between := all[1].Position.Commit - 1
		read, err := s.client.ReadAll(withPatience(t), esdb.ReadAllOptions{From: esdb.Position{Commit: between, Prepare: between}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := receiveAll(read); err == nil || !strings.Contains(err.Error(), "invalid position") {
			t.Errorf("error %v", err)
		}
	})
}

func TestLinksLeadToTheirTarget(t *testing.T) {
	s := newScript(t)
	s.do("append to target any: a b")
	s.do("append to ended any: c")
	s.do("append to short any: d e")
	s.append("$$short", "any", esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(`{"$maxCount":1}`)})
	if _, err := s.client.TombstoneStream(withPatience(t), "ended", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, data string
		want       string // type of the event and type of the link
	}{
		{"a link", "1@target", "b by $>"},
		{"a stream name with an @", "0@with@at", "f by $>"},
		{"a target that never was", "7@target", "nothing by $>"},
		{"a stream that never was", "0@nowhere", "nothing by $>"},
		{"a tombstoned target", "0@ended", "nothing by $>"},
		{"a target hidden by its stream's metadata", "0@short", "nothing by $>"},
		{"a link to a link goes one step", "0@links", "$> by $>"},
		{"data that is no link", "hello", "$> by nothing"},
		{"a negative revision is no link", "-1@target", "$> by nothing"},
	}
	s.do("append to with@at any: f")
	for _, test := range tests {
		s.append("links", "any", esdb.EventData{EventType: "$>", Data: []byte(test.data)})
	}
	describe := func(e *esdb.ResolvedEvent) string {
		event, link := "nothing", "nothing"
		if e.Event != nil {
			event = e.Event.EventType
		}
		if e.Link != nil {
			link = e.Link.EventType
		}
		return event + " by " + link
	}
	read, err := s.client.ReadStream(withPatience(t), "links", esdb.ReadStreamOptions{ResolveLinkTos: true}, 100)
	if err != nil {
		t.Fatal(err)
	}
	events, err := receiveAll(read)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != len(tests) {
		t.Fatalf("%d events", len(events))
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := describe(events[i]); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if events[i].Commit == nil || *events[i].Commit != events[i].OriginalEvent().Position.Commit {
				t.Errorf("the position is not that of the link")
			}
		})
	}
	t.Run("links are left alone unless asked for", func(t *testing.T) {
		read, err := s.client.ReadStream(withPatience(t), "links", esdb.ReadStreamOptions{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		events, err := receiveAll(read)
		if err != nil || describe(events[0]) != "$> by nothing" {
			t.Errorf("%v, %v", events, err)
		}
	})
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

func TestStreamMetadataIsReadBackAsItWasSet(t *testing.T) {
	s := newScript(t)
	var metadata esdb.StreamMetadata
	metadata.SetMaxCount(7)
	metadata.SetMaxAge(time.Hour)
	metadata.AddCustomProperty("owner", "warehouse")
	for range 3 { // the last one counts
		if _, err := s.client.SetStreamMetadata(withPatience(t), "s", esdb.AppendToStreamOptions{}, metadata); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.client.GetStreamMetadata(withPatience(t), "s", esdb.ReadStreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *got.MaxCount() != 7 || *got.MaxAge() != time.Hour || got.CustomProperty("owner") != "warehouse" {
		t.Errorf("metadata %+v", got)
	}
	if got := s.content("$$s"); got != "2:$metadata" {
		t.Errorf("a metadata stream shows %q, want its last event alone", got)
	}
}

func TestMetadataTellsWhereARecreatedStreamBegins(t *testing.T) {
	s := newScript(t)
	for _, line := range []string{"append any: a b", `metadata {"owner":"x"}`, "delete any"} {
		s.do(line)
	}
	deleted, err := s.client.GetStreamMetadata(withPatience(t), "s", esdb.ReadStreamOptions{})
	if err != nil || deleted.TruncateBefore() == nil || deleted.CustomProperty("owner") != nil {
		t.Fatalf("metadata of the deleted stream: %+v, %v", deleted, err)
	}
	s.do("append any: c")
	recreated, err := s.client.GetStreamMetadata(withPatience(t), "s", esdb.ReadStreamOptions{})
	if err != nil || recreated.TruncateBefore() == nil || *recreated.TruncateBefore() != 2 {
		t.Errorf("metadata of the recreated stream: %+v, %v", recreated, err)
	}
	s.do("delete any")
	s.do(`metadata {"owner":"y"}`)
	reset, err := s.client.GetStreamMetadata(withPatience(t), "s", esdb.ReadStreamOptions{})
	if err != nil || reset.TruncateBefore() == nil || *reset.TruncateBefore() != 3 || reset.CustomProperty("owner") != "y" {
		t.Errorf("metadata of the stream brought back by metadata: %+v, %v", reset, err)
	}
}
