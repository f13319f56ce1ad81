package protocoltest

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// hiding is what the metadata of a stream does to its readers. Nothing of it changes what a writer may expect.
var hiding = [...]writing{
	{"$maxCount shows the last ones", []string{`metadata {"$maxCount":2}`}, "append any: a b c", "revision 2", "1:b 2:c"},
	{"$tb shows what is not below it", []string{`metadata {"$tb":1}`}, "append any: a b c", "revision 2", "1:b 2:c"},
	{"The larger of $tb and $maxCount counts", []string{`metadata {"$tb":1,"$maxCount":3}`}, "append any: a b c d e", "revision 4", "2:c 3:d 4:e"},
	{"Hidden events count for expected revisions", []string{`metadata {"$maxCount":1}`, "append any: a b c"}, "append 2: d", "revision 3", "3:d"},
	{"A stream of which nothing is visible exists and is empty", []string{`metadata {"$tb":5}`}, "append any: a", "revision 0", ""},
	{"Limits that are not positive are ignored", []string{`metadata {"$maxCount":0,"$maxAge":-5}`}, "append any: a b", "revision 1", "0:a 1:b"},
	{"Metadata that is no JSON is none", []string{`metadata {"$maxCount":1}`, `metadata {"$maxCount":1`}, "append any: a b", "revision 1", "0:a 1:b"},
	{"The last metadata replaces what was before", []string{`metadata {"$maxCount":1}`, `metadata {"x":1}`}, "append any: a b", "revision 1", "0:a 1:b"},
	{"Setting metadata does not make a stream", nil, `metadata {"x":1}`, "revision 0", "not found"},
	{"Metadata outlives a restart", []string{`metadata {"$maxCount":1}`, "restart"}, "append any: a b", "revision 1", "1:b"},
}

func aboutMetadata() []rule {
	return []rule{
		{name: "Metadata is read back as it was set, the last one alone", ask: metadataIsReadBack},
		{name: "Metadata tells where a stream begins that was deleted and is back", ask: metadataTellsTheBeginning},
		{name: "$maxAge hides older events, the last one too, but not in $all", ask: maxAgeHides},
	}
}

func metadataIsReadBack(t *testing.T, server Server) {
	s := newWorld(t, server)
	var set esdb.StreamMetadata
	set.SetMaxCount(7)
	set.SetMaxAge(time.Hour)
	set.AddCustomProperty("owner", "warehouse")
	for range 3 {
		if _, err := s.Client.SetStreamMetadata(within(t), s.Stream("s"), esdb.AppendToStreamOptions{}, set); err != nil {
			t.Fatal(err)
		}
	}
	got := s.metadata()
	if got.MaxCount() == nil || *got.MaxCount() != 7 || got.MaxAge() == nil || *got.MaxAge() != time.Hour || got.CustomProperty("owner") != "warehouse" {
		t.Errorf("metadata %+v", got)
	}
	if got := s.Content("$$s"); got != "2:$metadata" {
		t.Errorf("the metadata stream shows %q, want its last event alone", got)
	}
}

func metadataTellsTheBeginning(t *testing.T, server Server) {
	s := newWorld(t, server)
	s.given("append any: a b", `metadata {"owner":"x"}`, "delete any")
	if deleted := s.metadata(); deleted.TruncateBefore() == nil || deleted.CustomProperty("owner") != nil {
		t.Fatalf("metadata of the deleted stream: %+v", deleted)
	}
	s.given("append any: c")
	if back := s.metadata(); back.TruncateBefore() == nil || *back.TruncateBefore() != 2 {
		t.Errorf("metadata of the stream that is back: %+v", back)
	}
	s.given("delete any", `metadata {"owner":"y"}`)
	if reset := s.metadata(); reset.TruncateBefore() == nil || *reset.TruncateBefore() != 3 || reset.CustomProperty("owner") != "y" {
		t.Errorf("metadata of the stream that metadata brought back: %+v", reset)
	}
}

func maxAgeHides(t *testing.T, server Server) {
	if server.SetClock == nil {
		t.Skip("needs another clock, which a server elsewhere cannot be given")
	}
	s := newWorld(t, server)
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	server.SetClock(now)
	s.given(`metadata {"$maxAge":60}`, "append any: a")
	server.SetClock(now.Add(40 * time.Second))
	s.given("append any: b")
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{40 * time.Second, "0:a 1:b"}, {60 * time.Second, "0:a 1:b"}, {61 * time.Second, "1:b"}, {time.Hour, ""}} {
		server.SetClock(now.Add(step.after))
		if got := s.Content("s"); got != step.want {
			t.Errorf("after %v: %q, want %q", step.after, got, step.want)
		}
	}
	if got := s.all("$$s", "s"); got != "0:$metadata 0:a 1:b" {
		t.Errorf("$all shows %q: nothing expires there", got)
	}
}
