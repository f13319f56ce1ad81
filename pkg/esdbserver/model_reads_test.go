package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// history writes the same to a store and to the model, and keeps what reads must show.
type history struct {
	model
	client    *esdb.Client
	positions []uint64 // of the model's records, as reading $all tells
}

// append writes one event with an id of its own. A link has its target as data.
func (h *history) append(r *rapid.T, stream, eventType, data string) {
	if h.last(stream) == math.MaxInt64 {
		return
	}
	deleted := h.metadata(stream).truncate == math.MaxInt64
	h.write(stream, eventType, data)
	if deleted {
		h.undelete(stream, h.last(stream))
	}
	_, err := h.client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{}, esdb.EventData{
		EventID: uuid.New(), EventType: eventType, Data: []byte(data),
	})
	if err != nil {
		r.Fatalf("append %s to %s: %v", eventType, stream, err)
	}
}

// random does one of the things that a store can be asked to.
func (h *history) random(r *rapid.T, streamNames []string) {
	stream := rapid.SampledFrom(streamNames).Draw(r, "stream")
	if h.last(stream) == math.MaxInt64 {
		return // nothing can be done to it any more
	}
	ctx := context.Background()
	switch rapid.SampledFrom([]string{"append", "append", "append", "append", "append", "link", "link", "metadata", "delete", "tombstone"}).Draw(r, "action") {
	case "append":
		for range rapid.IntRange(1, 3).Draw(r, "events") {
			h.append(r, stream, rapid.SampledFrom([]string{"x1", "x2", "y1", "$own"}).Draw(r, "type"), "{}")
		}
	case "link":
		target := rapid.SampledFrom(streamNames).Draw(r, "target")
		h.append(r, "links-"+stream, "$>", fmt.Sprintf("%d@%s", rapid.IntRange(0, 5).Draw(r, "revision"), target))
	case "metadata":
		data := rapid.SampledFrom([]string{`{"$tb":1}`, `{"$tb":3}`, `{"$maxCount":1}`, `{"$maxCount":2}`, `{}`}).Draw(r, "metadata")
		h.setMetadata(stream, data)
		_, err := h.client.AppendToStream(ctx, "$$"+stream, esdb.AppendToStreamOptions{}, esdb.EventData{
			EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(data),
		})
		if err != nil {
			r.Fatalf("metadata of %s: %v", stream, err)
		}
	case "delete":
		want := h.delete(stream, "any")
		_, err := h.client.DeleteStream(ctx, stream, esdb.DeleteStreamOptions{})
		equal(r, want, outcome("deleted", err))
	case "tombstone":
		if rapid.IntRange(0, 3).Draw(r, "rarely") > 0 {
			return
		}
		want := h.tombstone(stream, "any")
		_, err := h.client.TombstoneStream(ctx, stream, esdb.TombstoneStreamOptions{})
		equal(r, want, outcome("tombstoned", err))
	}
}

// locate learns the positions of the model's records.
func (h *history) locate(r *rapid.T, store *esdbservertest.Server, t *testing.T) {
	all := store.All(t)
	if len(all) != len(h.log) {
		r.Fatalf("%d events are stored, and %d were written", len(all), len(h.log))
	}
	h.positions = nil
	for _, e := range all {
		h.positions = append(h.positions, e.Position.Commit)
	}
}

// shows reports whether a read of a stream shows one of its revisions.
func (h *history) shows(stream string, revision int64) bool {
	last, metadata := h.last(stream), h.metadata(stream)
	return last != math.MaxInt64 && revision <= last && revision >= metadata.truncate &&
		(metadata.maxCount == 0 || revision > last-metadata.maxCount)
}

// describe is how a reader sees a record.
func (h *history) describe(record modelRecord, resolve bool) string {
	self := fmt.Sprintf("%s/%d:%s", record.stream, record.revision, record.word)
	if !resolve || record.word != "$>" {
		return self
	}
	number, stream, _ := strings.Cut(record.data, "@")
	var revision int64
	_, _ = fmt.Sscan(number, &revision)
	if !h.shows(stream, revision) {
		return self + " -> nothing"
	}
	return fmt.Sprintf("%s -> %s/%d:%s", self, stream, revision, h.wordAt(stream, revision))
}

// question is a read to be made, in the words of the protocol, with what the model answers.
type question struct {
	options *streams.ReadReq_Options
	want    []string
}

// reading draws what all reads have in common.
func reading(r *rapid.T) *streams.ReadReq_Options {
	options := &streams.ReadReq_Options{
		ResolveLinks: rapid.Bool().Draw(r, "resolve"),
		CountOption:  &streams.ReadReq_Options_Count{Count: rapid.SampledFrom([]uint64{1, 2, 5, 1000, math.MaxUint64}).Draw(r, "count")},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}
	if rapid.Bool().Draw(r, "backwards") {
		options.ReadDirection = streams.ReadReq_Options_Backwards
	}
	return options
}

// answered puts the records that were found in the order and number that the options ask for.
func (h *history) answered(options *streams.ReadReq_Options, found []modelRecord) question {
	if options.GetReadDirection() == streams.ReadReq_Options_Backwards {
		slices.Reverse(found)
	}
	q := question{options: options}
	for _, record := range found[:min(uint64(len(found)), options.GetCount())] {
		q.want = append(q.want, h.describe(record, options.GetResolveLinks()))
	}
	return q
}

func (h *history) aboutStream(r *rapid.T, streamNames []string) question {
	options := reading(r)
	backwards := options.GetReadDirection() == streams.ReadReq_Options_Backwards
	stream := rapid.SampledFrom(streamNames).Draw(r, "stream to read")
	from := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: rawStream(stream)}
	options.StreamOption = &streams.ReadReq_Options_Stream{Stream: from}
	low, high := int64(0), int64(math.MaxInt64)
	switch at := rapid.Int64Range(-1, 8).Draw(r, "from"); {
	case at >= 0:
		from.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(at)}
		if low = at; backwards {
			low, high = 0, at
		}
	case backwards:
		from.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
	default:
		from.RevisionOption = &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}
	}
	last := h.last(stream)
	if last == math.MaxInt64 {
		return question{options, []string{"FailedPrecondition"}}
	}
	if last < 0 || h.metadata(stream).truncate == math.MaxInt64 {
		return question{options, []string{"not found"}}
	}
	var found []modelRecord
	for _, record := range h.log {
		if record.stream == stream && h.shows(stream, record.revision) && record.revision >= low && record.revision <= high {
			found = append(found, record)
		}
	}
	return h.answered(options, found)
}

func (h *history) aboutAll(r *rapid.T) question {
	options := reading(r)
	backwards := options.GetReadDirection() == streams.ReadReq_Options_Backwards
	from := &streams.ReadReq_Options_AllOptions{}
	options.StreamOption = &streams.ReadReq_Options_All{All: from}
	first, behind := 0, len(h.log)
	switch at := rapid.IntRange(-1, len(h.log)-1).Draw(r, "from"); {
	case at >= 0:
		from.AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{
			CommitPosition: h.positions[at], PreparePosition: h.positions[at],
		}}
		if first = at; backwards {
			first, behind = 0, at
		}
	case backwards:
		from.AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	default:
		from.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
	}
	matches := func(modelRecord) bool { return true }
	if rapid.Bool().Draw(r, "filtered") {
		options.FilterOption, matches = filtering(r)
	}
	var found []modelRecord
	for _, record := range h.log[first:behind] {
		if matches(record) {
			found = append(found, record)
		}
	}
	return h.answered(options, found)
}

// filtering draws a filter, or none, and says what it selects.
func filtering(r *rapid.T) (*streams.ReadReq_Options_Filter, func(modelRecord) bool) {
	expression := &streams.ReadReq_Options_FilterOptions_Expression{}
	options := &streams.ReadReq_Options_FilterOptions{
		Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: rapid.Uint32Range(1, 5).Draw(r, "window")},
		CheckpointIntervalMultiplier: rapid.Uint32Range(1, 2).Draw(r, "multiplier"),
	}
	subject := func(record modelRecord) string { return record.stream }
	if rapid.Bool().Draw(r, "by type") {
		subject = func(record modelRecord) string { return record.word }
		options.Filter = &streams.ReadReq_Options_FilterOptions_EventType{EventType: expression}
	} else {
		options.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: expression}
	}
	filter := &streams.ReadReq_Options_Filter{Filter: options}
	if pattern := rapid.SampledFrom([]string{"", "^[^$]", "1$", "."}).Draw(r, "pattern"); pattern != "" {
		expression.Regex = pattern
		compiled := regexp.MustCompile(pattern)
		return filter, func(record modelRecord) bool { return compiled.MatchString(subject(record)) }
	}
	expression.Prefix = rapid.SampledFrom([][]string{{"a"}, {"x"}, {"$"}, {"links-", "y"}, {"b-1", "$metadata"}}).Draw(r, "prefixes")
	return filter, func(record modelRecord) bool {
		return slices.ContainsFunc(expression.Prefix, func(prefix string) bool { return strings.HasPrefix(subject(record), prefix) })
	}
}

// seen puts an answer of the store in the model's words.
func seen(e *streams.ReadResp_ReadEvent) string {
	word := func(e *streams.ReadResp_ReadEvent_RecordedEvent) string {
		if e == nil {
			return "nothing"
		}
		return fmt.Sprintf("%s/%d:%s", e.GetStreamIdentifier().GetStreamName(), e.GetStreamRevision(), e.GetMetadata()["type"])
	}
	if e.GetLink() != nil {
		return word(e.GetLink()) + " -> " + word(e.GetEvent())
	}
	return word(e.GetEvent())
}

func (q question) ask(ctx context.Context, client streams.StreamsClient) (got []string, err error) {
	call, err := client.Read(ctx, &streams.ReadReq{Options: q.options})
	if err != nil {
		return nil, err
	}
	for {
		answer, err := call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case status.Code(err) == codes.FailedPrecondition:
			got = append(got, codes.FailedPrecondition.String())
			return got, nil
		case err != nil:
			return got, err
		case answer.GetStreamNotFound() != nil:
			got = append(got, "not found")
		default:
			got = append(got, seen(answer.GetEvent()))
		}
	}
}

// Whatever was written, every read shows what the protocol says: both directions, from anywhere, any number, filters by
// prefix and pattern, links resolved or not.
func TestReadsShowWhatTheModelSays(t *testing.T) {
	t.Parallel()
	streamNames := []string{"a", "b-1", "$sys", "links-a"}
	rapid.Check(t, func(r *rapid.T) {
		store := esdbservertest.New(t)
		defer store.Stop()
		client := store.Client(t)
		defer client.Close()
		h := &history{model: model{recent: map[string]int64{}}, client: client}
		h.append(r, "a", "x1", "{}")
		for range rapid.IntRange(0, 25).Draw(r, "writes") {
			h.random(r, streamNames)
		}
		h.locate(r, store, t)
		raw := dial(t, store)
		for range 30 {
			q := h.aboutAll(r)
			if rapid.Bool().Draw(r, "of a stream") {
				q = h.aboutStream(r, streamNames)
			}
			got, err := q.ask(withPatience(t), raw)
			if err != nil {
				r.Fatalf("%v: %v", q.options, err)
			}
			if diff := cmp.Diff(q.want, got); diff != "" {
				r.Fatalf("%v (-model +store):\n%s", q.options, diff)
			}
		}
	})
}
