package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// model is a log as a list of events. What a stream shows follows from the list alone.
type model struct{ events []Event }

func (m *model) in(stream string) []Event {
	var found []Event
	for _, e := range m.events {
		if e.Stream == stream {
			found = append(found, e)
		}
	}
	return found
}

func (m *model) last(stream string) int64 {
	if all := m.in(stream); len(all) > 0 {
		return all[len(all)-1].Revision
	}
	return -1
}

// settings are those of the last event of a metadata stream.
func (m *model) settings(stream string) (truncateBefore, maxCount int64) {
	all := m.in(Metastream(stream))
	if len(all) == 0 || !all[len(all)-1].JSON {
		return 0, 0
	}
	var s struct {
		TruncateBefore int64 `json:"$tb"`
		MaxCount       int64 `json:"$maxCount"`
	}
	_ = json.Unmarshal(all[len(all)-1].Data, &s)
	return s.TruncateBefore, s.MaxCount
}

func (m *model) add(stream string, p Proposed) {
	m.events = append(m.events, Event{
		Stream: stream, Revision: m.last(stream) + 1, ID: p.ID, Type: p.Type, JSON: p.JSON, Data: p.Data, Metadata: p.Metadata,
	})
}

// visible is what a read of the stream shows, from a revision on.
func (m *model) visible(stream string, from int64, backwards bool) []Event {
	all := m.in(stream)
	truncateBefore, maxCount := m.settings(stream)
	if last := m.last(stream); maxCount > 0 && last != TombstoneRevision {
		truncateBefore = max(truncateBefore, last-maxCount+1)
	}
	var found []Event
	for _, e := range all {
		if e.Revision >= truncateBefore && (backwards && e.Revision <= from || !backwards && e.Revision >= from) {
			found = append(found, e)
		}
	}
	if backwards {
		slices.Reverse(found)
	}
	return found
}

// same compares events except for what the log alone decides: positions, times, and the ids of what it writes by itself.
func same(r *rapid.T, what string, want []Event, got []*Event) {
	r.Helper()
	if len(want) != len(got) {
		r.Fatalf("%s: %d events in the model, %d in the log", what, len(want), len(got))
	}
	for i, w := range want {
		g := got[i]
		if w.Stream != g.Stream || w.Revision != g.Revision || w.Type != g.Type || w.JSON != g.JSON || w.ID != g.ID && w.ID != uuid.Nil ||
			!bytes.Equal(w.Data, g.Data) || !bytes.Equal(w.Metadata, g.Metadata) {
			r.Fatalf("%s: event %d is %.200q in the model and %.200q in the log", what, i, fmt.Sprint(w), fmt.Sprint(*g))
		}
	}
}

// Names and bytes of every kind.
var (
	anyName = rapid.OneOf(
		rapid.SampledFrom([]string{"a", "order-1", "$system", "ümläut/🚚", "with\x00nul", "'; DROP TABLE event; --", " ", "%s", "\xff no UTF-8"}),
		rapid.Map(rapid.IntRange(100, 5000), func(n int) string { return "long-" + strings.Repeat("n", n) }),
	)
	anyBytes = rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 50),
		rapid.SampledFrom([][]byte{{}, {0}, []byte("{}"), []byte("null"), bytes.Repeat([]byte{0xff}, 5000)}),
		rapid.Map(rapid.IntRange(1<<10, 20<<10), func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }),
	)
	anyEvents = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Proposed {
		return Proposed{
			ID: uuid.New(), Type: rapid.SampledFrom([]string{"t", "", "Über-🚚", "nul\x00", "$>"}).Draw(r, "type"), JSON: rapid.Bool().Draw(r, "json"),
			Data: anyBytes.Draw(r, "data"), Metadata: anyBytes.Draw(r, "metadata"),
		}
	}), 1, 4)
)

// TestLogBehavesLikeAList appends, deletes, ends, configures and reopens in any order; whatever was written is read, byte
// for byte, from any place in any direction.
func TestLogBehavesLikeAList(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir := t.TempDir()
		reopen := func() *Log {
			l, err := Open(Options{Dir: dir, WriteTimeout: time.Minute})
			if err != nil {
				r.Fatal(err)
			}
			return l
		}
		l, m := reopen(), &model{}
		defer func() { l.Close() }()
		names := rapid.SliceOfN(anyName, 1, 4).Draw(r, "names")
		stream := rapid.SampledFrom(names)
		undelete := func(name string, first int64) {
			m.add(Metastream(name), Proposed{Type: TypeMetadata, JSON: true, Data: fmt.Appendf(nil, `{"$tb":%d}`, first)})
		}
		ended := func(name string, err error) bool {
			if m.last(name) != TombstoneRevision {
				if err != nil {
					r.Fatal(err)
				}
				return false
			}
			var deleted *StreamDeletedError
			if !errors.As(err, &deleted) {
				r.Fatalf("a tombstoned stream answers %v", err)
			}
			return true
		}
		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				name, events := stream.Draw(r, "stream"), anyEvents.Draw(r, "events")
				expected := rapid.SampledFrom([]Expected{Any, Expected(m.last(name))}).Draw(r, "expected")
				answer, err := l.Append(t.Context(), name, expected, events)
				if ended(name, err) {
					return
				}
				truncateBefore, _ := m.settings(name)
				first := m.last(name) + 1
				for _, e := range events {
					m.add(name, e)
				}
				if answer.Current != m.last(name) {
					r.Fatalf("answered %d, the stream is at %d", answer.Current, m.last(name))
				}
				if truncateBefore == math.MaxInt64 {
					undelete(name, first)
				}
			},
			"metadata": func(r *rapid.T) {
				name := stream.Draw(r, "stream")
				event := Proposed{
					ID: uuid.New(), Type: TypeMetadata, JSON: true,
					Data: fmt.Appendf(nil, `{"$maxCount":%d,"$tb":%d}`, rapid.IntRange(0, 3).Draw(r, "count"), rapid.IntRange(0, 5).Draw(r, "tb")),
				}
				truncateBefore, _ := m.settings(name)
				if truncateBefore == math.MaxInt64 {
					r.Skip("its undeletion merges the two: a test of its own")
				}
				if _, err := l.Append(t.Context(), Metastream(name), Any, []Proposed{event}); !ended(name, err) {
					m.add(Metastream(name), event)
				}
			},
			"delete": func(r *rapid.T) {
				name := stream.Draw(r, "stream")
				exists := m.last(name) >= 0 || m.last(Metastream(name)) >= 0
				_, err := l.Delete(t.Context(), name, Any)
				var wrong *WrongExpectedVersionError
				if !exists && errors.As(err, &wrong) || ended(name, err) {
					return
				}
				undelete(name, math.MaxInt64)
			},
			"tombstone": func(r *rapid.T) {
				if rapid.IntRange(0, 5).Draw(r, "rarely") > 0 {
					r.Skip("it ends the stream")
				}
				name := stream.Draw(r, "stream")
				if _, err := l.Tombstone(t.Context(), name, Any); !ended(name, err) {
					m.events = append(m.events, Event{Stream: name, Revision: TombstoneRevision, Type: TypeTombstone})
				}
			},
			"reopen": func(r *rapid.T) {
				if err := l.Close(); err != nil {
					r.Fatal(err)
				}
				l = reopen()
			},
			"read": func(r *rapid.T) {
				name, backwards := stream.Draw(r, "stream"), rapid.Bool().Draw(r, "backwards")
				from := rapid.OneOf(rapid.Int64Range(0, 10), rapid.Just[int64](math.MaxInt64)).Draw(r, "from")
				limit := rapid.Int64Range(1, 5).Draw(r, "limit")
				var got []*Event
				for at := from; ; {
					page, err := l.ReadStream(t.Context(), name, at, backwards, limit)
					if err != nil {
						r.Fatal(err)
					}
					if got = append(got, page.Events...); !page.More {
						break
					}
					at = page.Next
				}
				same(r, fmt.Sprintf("%.20q from %d, backwards %t", name, from, backwards), m.visible(name, from, backwards), got)
			},
			"": func(r *rapid.T) {
				forwards, err := walkAll(t, l, false)
				if err != nil {
					r.Fatal(err)
				}
				same(r, "all", m.events, forwards)
				backwards, err := walkAll(t, l, true)
				if err != nil {
					r.Fatal(err)
				}
				slices.Reverse(backwards)
				same(r, "all backwards", m.events, backwards)
				if n := len(forwards); n > 0 {
					at := rapid.IntRange(0, n-1).Draw(r, "at")
					page, err := l.ReadAll(t.Context(), forwards[at].Position, false, 3)
					if err != nil {
						r.Fatal(err)
					}
					same(r, "all from the middle", m.events[at:min(at+len(page.Events), n)], page.Events)
				}
			},
		})
	})
}

// One event may be as large as a message of the protocol.
func TestHugeEventsAreStoredByteForByte(t *testing.T) {
	const largest = 16<<20 - 1000
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	huge := Proposed{ID: uuid.New(), Type: "huge", Data: make([]byte, largest), Metadata: bytes.Repeat([]byte("m"), 1<<20)}
	for i := range huge.Data {
		huge.Data[i] = byte(i * 7 / 3)
	}
	if _, err := l.Append(t.Context(), "s", NoStream, []Proposed{huge, one("small")[0], huge}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	events := everything(t, open(t, Options{Dir: dir}))
	if len(events) != 3 || events[1].Type != "small" {
		t.Fatalf("%d events", len(events))
	}
	for _, i := range []int{0, 2} {
		if !bytes.Equal(events[i].Data, huge.Data) || !bytes.Equal(events[i].Metadata, huge.Metadata) {
			t.Errorf("event %d is not what was written", i)
		}
	}
}
