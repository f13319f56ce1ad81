package esdbserver_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// model is the store as one reads the protocol: a list of records, and for each stream what follows from them. It keeps
// nothing that could be out of step: every question is answered from the records.
type model struct {
	log    []modelRecord
	recent map[string]int64 // stream and id -> revision; what a running server remembers
}

type modelRecord struct {
	stream   string
	revision int64
	word     string // type, and what the id is derived from
	data     string // of metadata
}

type modelMetadata struct {
	exists             bool
	truncate, maxCount int64
}

func (m *model) last(stream string) int64 {
	last := int64(-1)
	for _, r := range m.log {
		if r.stream == stream {
			last = r.revision
		}
	}
	return last
}

func (m *model) metadata(stream string) (found modelMetadata) {
	for _, r := range m.log {
		if r.stream == "$$"+stream {
			found = modelMetadata{exists: true}
			_, _ = fmt.Sscanf(r.data, `{"$tb":%d}`, &found.truncate)
			_, _ = fmt.Sscanf(r.data, `{"$maxCount":%d}`, &found.maxCount)
			_, _ = fmt.Sscanf(r.data, `{"$maxCount":%d,"$tb":%d}`, &found.maxCount, &found.truncate)
		}
	}
	return found
}

func (m *model) visible(stream string) string {
	last, metadata := m.last(stream), m.metadata(stream)
	switch {
	case last == math.MaxInt64:
		return "stream deleted"
	case last < 0 || metadata.truncate == math.MaxInt64:
		return "not found"
	}
	var words []string
	for _, r := range m.log {
		if r.stream == stream && r.revision >= metadata.truncate && (metadata.maxCount == 0 || r.revision > last-metadata.maxCount) {
			words = append(words, fmt.Sprintf("%d:%s", r.revision, r.word))
		}
	}
	return strings.Join(words, " ")
}

func (m *model) write(stream, word, data string) {
	revision := m.last(stream) + 1
	m.log = append(m.log, modelRecord{stream, revision, word, data})
	m.recent[stream+"/"+word] = revision
}

// setMetadata writes metadata and, for a deleted stream, the server's correction behind it.
func (m *model) setMetadata(stream, data string) string {
	if m.last(stream) == math.MaxInt64 {
		return "stream deleted"
	}
	deleted := m.metadata(stream).truncate == math.MaxInt64
	m.write("$$"+stream, "$metadata", data)
	outcome := fmt.Sprintf("revision %d", m.last("$$"+stream))
	if deleted {
		m.undelete(stream, m.last(stream)+1)
	}
	return outcome
}

func (m *model) undelete(stream string, first int64) {
	data := fmt.Sprintf(`{"$tb":%d}`, first)
	if count := m.metadata(stream).maxCount; count > 0 {
		data = fmt.Sprintf(`{"$maxCount":%d,"$tb":%d}`, count, first)
	}
	m.write("$$"+stream, "$metadata", data)
}

// expect is the table of expected revisions. It answers "write" when the write is to be done.
func (m *model) expect(stream, expected string, words []string) string {
	last, metadata := m.last(stream), m.metadata(stream)
	deleted := metadata.truncate == math.MaxInt64
	if last == math.MaxInt64 {
		return "stream deleted"
	}
	if expected == "any" || expected == "exists" {
		if expected == "exists" {
			if deleted {
				return "stream deleted"
			}
			if last < 0 && !metadata.exists {
				return "wrong version"
			}
		}
		answer := "write"
		for i, word := range words {
			revision, known := m.recent[stream+"/"+word]
			switch {
			case !known && i == 0:
				return "write"
			case !known:
				return "wrong version"
			}
			answer = fmt.Sprintf("revision %d", revision)
		}
		return answer
	}
	at := int64(-1)
	if expected != "none" {
		_, _ = fmt.Sscan(expected, &at)
	}
	switch {
	case at == last:
		return "write"
	case at > last:
		return "wrong version"
	}
	matched := 0
	for matched < len(words) && m.wordAt(stream, at+1+int64(matched)) == words[matched] {
		matched++
	}
	switch {
	case matched > 0 && matched == len(words):
		return fmt.Sprintf("revision %d", at+int64(matched))
	case matched == 0 && at == -1 && deleted:
		return "write"
	}
	return "wrong version"
}

func (m *model) wordAt(stream string, revision int64) string {
	i := slices.IndexFunc(m.log, func(r modelRecord) bool { return r.stream == stream && r.revision == revision })
	if i < 0 {
		return ""
	}
	return m.log[i].word
}

func (m *model) append(stream, expected string, words []string) string {
	if verdict := m.expect(stream, expected, words); verdict != "write" {
		return verdict
	}
	deleted := m.metadata(stream).truncate == math.MaxInt64
	first := m.last(stream) + 1
	for _, word := range words {
		m.write(stream, word, "")
	}
	if deleted {
		m.undelete(stream, first)
	}
	if last := m.last(stream); last >= 0 {
		return fmt.Sprintf("revision %d", last)
	}
	return "revision 1" // what the Go client makes of "no stream"
}

func (m *model) delete(stream, expected string) string {
	if verdict := m.expect(stream, expected, nil); verdict != "write" {
		return verdict
	}
	if m.last(stream) < 0 && !m.metadata(stream).exists {
		return "wrong version"
	}
	m.write("$$"+stream, "$metadata", fmt.Sprintf(`{"$tb":%d}`, int64(math.MaxInt64)))
	return "deleted"
}

func (m *model) tombstone(stream, expected string) string {
	if verdict := m.expect(stream, expected, nil); verdict != "write" {
		return verdict
	}
	m.log = append(m.log, modelRecord{stream, math.MaxInt64, "$streamDeleted", ""})
	return "tombstoned"
}

// The store does what the model does, whatever is asked of it in whatever order, restarts included.
func TestStoreBehavesLikeTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		store := esdbservertest.New(t, inDir(t))
		defer store.Stop()
		client, raw := store.Client(t), dial(t, store)
		m := &model{recent: map[string]int64{}}
		ctx := context.Background()

		streams := rapid.SampledFrom([]string{"a", "b"})
		expectations := rapid.SampledFrom([]string{"any", "none", "exists", "0", "1", "2", "3"})
		batches := rapid.SliceOfN(rapid.SampledFrom([]string{"u", "v", "w", "x"}), 0, 3)
		metadata := rapid.SampledFrom([]string{`{"$tb":1}`, `{"$tb":2}`, `{"$maxCount":1}`, `{"$maxCount":2}`, `{}`, `{"$tb":9223372036854775807}`})

		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				stream, expected, words := streams.Draw(r, "stream"), expectations.Draw(r, "expected"), batches.Draw(r, "events")
				s := &script{t: t, store: store, client: client}
				var events []esdb.EventData
				for _, word := range words {
					events = append(events, event(word))
				}
				equal(r, m.append(stream, expected, words), s.append(stream, expected, events...))
			},
			"batch": func(r *rapid.T) {
				stream, expected, words := streams.Draw(r, "stream"), expectations.Draw(r, "expected"), batches.Draw(r, "events")
				equal(r, m.append(stream, expected, words), appendAsBatch(t, raw, stream, expected, words))
			},
			"metadata": func(r *rapid.T) {
				stream, data := streams.Draw(r, "stream"), metadata.Draw(r, "metadata")
				s := &script{t: t, store: store, client: client}
				equal(r, m.setMetadata(stream, data), s.append("$$"+stream, "any", esdb.EventData{
					EventID: uuid.New(), EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(data),
				}))
			},
			"delete": func(r *rapid.T) {
				stream, expected := streams.Draw(r, "stream"), expectations.Draw(r, "expected")
				_, err := client.DeleteStream(ctx, stream, esdb.DeleteStreamOptions{ExpectedRevision: expectation(t, expected)})
				equal(r, m.delete(stream, expected), outcome("deleted", err))
			},
			"tombstone": func(r *rapid.T) {
				if rapid.IntRange(0, 5).Draw(r, "rarely") > 0 {
					r.Skip("it ends the stream")
				}
				stream, expected := streams.Draw(r, "stream"), expectations.Draw(r, "expected")
				_, err := client.TombstoneStream(ctx, stream, esdb.TombstoneStreamOptions{ExpectedRevision: expectation(t, expected)})
				equal(r, m.tombstone(stream, expected), outcome("tombstoned", err))
			},
			"restart": func(r *rapid.T) {
				if rapid.IntRange(0, 3).Draw(r, "rarely") > 0 {
					r.Skip("it takes a while")
				}
				client.Close()
				store.Stop()
				store.Start()
				client, raw = store.Client(t), dial(t, store)
				m.recent = map[string]int64{}
			},
			"": func(r *rapid.T) {
				s := &script{t: t, store: store, client: client}
				for _, stream := range []string{"a", "b"} {
					equal(r, m.visible(stream), s.content(stream))
				}
				read, err := client.ReadAll(ctx, esdb.ReadAllOptions{}, math.MaxUint64)
				if err != nil {
					r.Fatal(err)
				}
				events, err := receiveAll(read)
				if err != nil {
					r.Fatal(err)
				}
				var want, got []string
				for _, record := range m.log {
					want = append(want, fmt.Sprintf("%s/%d:%s", record.stream, record.revision, record.word))
				}
				for _, e := range events {
					got = append(got, fmt.Sprintf("%s/%d:%s", e.Event.StreamID, e.Event.EventNumber, e.Event.EventType))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					r.Fatalf("$all (-model +store):\n%s", diff)
				}
			},
		})
	})
}

func equal(r *rapid.T, model, store string) {
	r.Helper()
	if model != store {
		r.Fatalf("the model says %q, the store %q", model, store)
	}
}
