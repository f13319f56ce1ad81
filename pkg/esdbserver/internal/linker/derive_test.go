package linker

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var created = time.Date(2024, 2, 29, 12, 30, 0, 123_456_700, time.UTC)

func example(stream string, revision int64, eventType, data, metadata string) *eventlog.Event {
	return &eventlog.Event{
		Position: 700, Revision: revision, Stream: stream, ID: uuid.MustParse("01234567-89ab-cdef-0123-456789abcdef"),
		Type: eventType, JSON: true, Created: created.UnixNano() / 100, Data: []byte(data), Metadata: []byte(metadata),
	}
}

func TestEventIsFiledWhereTheOriginalServerFilesIt(t *testing.T) {
	const caused = `"$c":700,"$p":700,"$causedBy":"01234567-89ab-cdef-0123-456789abcdef"}`
	tests := []struct {
		name  string
		event *eventlog.Event
		want  []string
	}{
		{"the first event of a stream", example("order-1", 0, "placed", "", ""), []string{
			`$streams $> 0@order-1 {` + caused,
			`$category-order $@ order-1 {` + caused,
			`$ce-order $> 0@order-1 {"$o":"order-1",` + caused,
			`$et-placed $> 0@order-1 {` + caused,
		}},
		{"a later one with a correlation id", example("order-1-2", 7, "paid", "", `{"$correlationId":"c"}`), []string{
			`$ce-order $> 7@order-1-2 {"$o":"order-1-2",` + caused,
			`$et-paid $> 7@order-1-2 {` + caused,
			`$bc-c $> 7@order-1-2 {"$eventTimestamp":"2024-02-29T12:30:00.123456Z",` + caused,
		}},
		{"a correlation id that is no text", example("s", 1, "x", "", `{"$correlationId":7}`), []string{`$et-x $> 1@s {` + caused}},
		{"a name that differs in case", example("s", 1, "x", "", `{"$CorrelationID":"c"}`), []string{`$et-x $> 1@s {` + caused}},
		{"a correlation id beside a number", example("s", 1, "x", "", `{"$correlationId":"c","n":1}`), []string{
			`$et-x $> 1@s {` + caused, `$bc-c $> 1@s {"$eventTimestamp":"2024-02-29T12:30:00.123456Z",` + caused,
		}},
		{"metadata that is no JSON", example("s", 1, "x", "", `$correlationId`), []string{`$et-x $> 1@s {` + caused}},
		{"a user's link", example("list-1", 3, "$>", "5@order-1", ""), []string{`$ce-list $> 5@order-1 {"$o":"list-1",` + caused}},
		{"a link of ours", example("$ce-order", 3, "$>", "5@order-1", ""), nil},
		{"the first link of ours", example("$ce-order", 0, "$>", "5@order-1", ""), []string{`$streams $> 0@$ce-order {` + caused}},
		{"metadata", example("$$order-1", 1, "$metadata", `{"$maxCount":1}`, ""), []string{`$et-$metadata $> 1@$$order-1 {` + caused}},
		{"a deletion", example("$$order-1", 1, "$metadata", `{"$tb":9223372036854775807}`, ""), nil},
		{"what only looks like a deletion", example("$$order-1", 1, "$metadata", `{"$TB":9223372036854775807}`, ""), []string{`$et-$metadata $> 1@$$order-1 {` + caused}},
		{"a tombstone", example("order-1", eventlog.TombstoneRevision, "$streamDeleted", "", ""), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, d := range derive([]*eventlog.Event{test.event}) {
				for _, e := range d.Events {
					got = append(got, fmt.Sprintf("%s %s %s %s", d.Stream, e.Type, e.Data, e.Metadata))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinksOfAPageAreGatheredByStreamInOrder(t *testing.T) {
	var events []*eventlog.Event
	for i := range 6 {
		events = append(events, example(fmt.Sprintf("s%d-1", i%2), int64(1+i/2), "x", "", ""))
	}
	links := map[string][]string{}
	first, again := derive(events), derive(events)
	for _, d := range first {
		for _, e := range d.Events {
			links[d.Stream] = append(links[d.Stream], string(e.Data))
		}
	}
	want := map[string][]string{
		"$ce-s0": {"1@s0-1", "2@s0-1", "3@s0-1"}, "$ce-s1": {"1@s1-1", "2@s1-1", "3@s1-1"},
		"$et-x": {"1@s0-1", "1@s1-1", "2@s0-1", "2@s1-1", "3@s0-1", "3@s1-1"},
	}
	if diff := cmp.Diff(want, links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("derived twice, they differ:\n%s", diff)
	}
}
