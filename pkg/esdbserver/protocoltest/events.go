package protocoltest

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

func aboutEvents() []rule {
	return []rule{
		{name: "A recorded event is what was proposed", ask: recordedIsProposed},
		{name: "An append answers the position of its last event", ask: appendAnswersPosition},
		{name: "The time of an event is the server's, in units of 100 ns", ask: createdIsTicks},
	}
}

// proposedEvents are of every kind: JSON, bytes, and what says it was JSON and is not, which nobody checks.
func proposedEvents() []esdb.EventData {
	return []esdb.EventData{
		{EventID: uuid.New(), EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: []byte(`{"a":1}`), Metadata: []byte(`{"b":2}`)},
		{EventID: uuid.New(), EventType: "bytes \x00 and ünïcode 🚚", ContentType: esdb.ContentTypeBinary, Data: []byte{0, 1, 0xff}},
		{EventID: uuid.New(), EventType: "not-json-though-it-says-so", ContentType: esdb.ContentTypeJson, Data: []byte(`{`)},
	}
}

func recordedIsProposed(t *testing.T, server Server) {
	w := newWorld(t, server)
	proposed := proposedEvents()
	const stream = "ünïcode-🚚"
	w.Append(stream, "any", proposed...)
	read, err := w.Client.ReadStream(within(t), w.Stream(stream), esdb.ReadStreamOptions{}, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := receiveAll(read)
	if err != nil || len(recorded) != len(proposed) {
		t.Fatalf("%d events, %v", len(recorded), err)
	}
	for i, e := range recorded {
		got, want := e.Event, proposed[i]
		contentType := "application/json"
		if want.ContentType == esdb.ContentTypeBinary {
			contentType = "application/octet-stream"
		}
		if got.EventID != want.EventID || got.EventType != want.EventType || got.ContentType != contentType || got.StreamID != w.Stream(stream) ||
			got.EventNumber != uint64(i) || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.UserMetadata, want.Metadata) {
			t.Errorf("proposed %+v\nrecorded %+v", want, got)
		}
	}
}

func appendAnswersPosition(t *testing.T, server Server) {
	w := newWorld(t, server)
	written, err := w.Client.AppendToStream(within(t), w.Stream("s"), esdb.AppendToStreamOptions{}, proposedEvents()...)
	if err != nil {
		t.Fatal(err)
	}
	recorded := w.recorded()
	if len(recorded) != 3 {
		t.Fatalf("%d events", len(recorded))
	}
	last := uint64(0)
	for _, e := range recorded {
		if e.Position.Commit <= last || e.Position.Commit != e.Position.Prepare {
			t.Errorf("position %+v follows %d", e.Position, last)
		}
		last = e.Position.Commit
	}
	if written.CommitPosition != last || written.PreparePosition != last {
		t.Errorf("answered %+v, the last event is at %d", written, last)
	}
}

func createdIsTicks(t *testing.T, server Server) {
	w := newWorld(t, server)
	at, most := time.Now(), time.Hour // the clocks of two machines differ, and some are set badly
	if server.SetClock != nil {
		at, most = time.Date(2024, 2, 29, 12, 0, 0, 123456700, time.UTC), 0
		server.SetClock(at)
	}
	w.given("append any: a")
	e := w.recorded()[0]
	if e.CreatedDate.Sub(at).Abs() > most || e.SystemMetadata["created"] != fmt.Sprint(e.CreatedDate.UnixNano()/100) {
		t.Errorf("created %v (%s), it was %v", e.CreatedDate, e.SystemMetadata["created"], at)
	}
}
