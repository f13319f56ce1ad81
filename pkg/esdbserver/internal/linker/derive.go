package linker

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// typeStreamReference is the type of the events in $category- streams, whose data is the name of a stream.
const typeStreamReference = "$@"

// derive returns the links to events, one list for each stream they belong in, in the order in which the streams first
// come up.
func derive(events []*eventlog.Event) []eventlog.Derived {
	p := page{at: map[string]int{}}
	for _, e := range events {
		p.file(e)
	}
	return p.derived
}

// page collects what is derived from a page of events.
type page struct {
	derived []eventlog.Derived
	at      map[string]int // where in derived a stream is
}

func (p *page) file(e *eventlog.Event) {
	self := fmt.Sprintf("%d@%s", e.Revision, e.Stream)
	if e.Revision == 0 {
		p.add("$streams", e, eventlog.TypeLink, self, details{})
	}
	category := categoryOf(e.Stream)
	if category != "" && e.Revision == 0 {
		p.add("$category-"+category, e, typeStreamReference, e.Stream, details{})
	}
	if deletes(e) {
		return
	}
	isLink := e.Type == eventlog.TypeLink
	if category != "" {
		target := self
		if isLink {
			target = string(e.Data)
		}
		p.add("$ce-"+category, e, eventlog.TypeLink, target, details{Original: e.Stream})
	}
	if isLink {
		return
	}
	p.add("$et-"+e.Type, e, eventlog.TypeLink, self, details{})
	if id := correlationOf(e); id != "" {
		p.add("$bc-"+id, e, eventlog.TypeLink, self, details{Timestamp: timeOf(e)})
	}
}

// details are the metadata of a link: where the event it was derived from lies, and which it is.
type details struct {
	Original  string    `json:"$o,omitempty"`
	Timestamp string    `json:"$eventTimestamp,omitempty"`
	Commit    int64     `json:"$c"`
	Prepare   int64     `json:"$p"`
	CausedBy  uuid.UUID `json:"$causedBy"`
}

// add puts an event into a stream of links. Its id follows from the stream and the event: it is the same whenever and by
// whomever it is derived.
func (p *page) add(stream string, e *eventlog.Event, eventType, data string, d details) {
	d.Commit, d.Prepare, d.CausedBy = e.Position, e.Position, e.ID
	metadata, err := json.Marshal(d)
	if err != nil {
		metadata = nil // cannot happen to these fields, and a link does without
	}
	i, known := p.at[stream]
	if !known {
		i = len(p.derived)
		p.at[stream] = i
		p.derived = append(p.derived, eventlog.Derived{Stream: stream})
	}
	p.derived[i].Events = append(p.derived[i].Events, eventlog.Proposed{
		ID:   uuid.NewSHA1(e.ID, fmt.Appendf(nil, "%d %s", e.Position, stream)),
		Type: eventType, Data: []byte(data), Metadata: metadata,
	})
}

// categoryOf is what precedes the first "-" of a stream's name, and empty for a stream of the system or without a "-".
func categoryOf(stream string) string {
	if strings.HasPrefix(stream, "$") {
		return ""
	}
	category, _, found := strings.Cut(stream, "-")
	if !found {
		return ""
	}
	return category
}

// deletes reports whether an event is a tombstone or the metadata of a deletion.
func deletes(e *eventlog.Event) bool {
	return e.Type == eventlog.TypeTombstone || e.SoftDeletes()
}

// correlationOf is the $correlationId in an event's metadata, empty when there is none.
func correlationOf(e *eventlog.Event) string {
	if len(e.Metadata) == 0 {
		return ""
	}
	var metadata map[string]json.RawMessage // the field of a struct would match in any case
	if json.Unmarshal(e.Metadata, &metadata) != nil {
		return ""
	}
	var id string
	if json.Unmarshal(metadata["$correlationId"], &id) != nil {
		return "" // it is not there, or no text
	}
	return id
}

func timeOf(e *eventlog.Event) string {
	const perSecond = 10_000_000 // ticks of 100 ns
	at := time.Unix(e.Created/perSecond, e.Created%perSecond*100).UTC()
	return at.Format("2006-01-02T15:04:05.000000Z")
}
