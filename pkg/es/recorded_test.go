package es_test

import (
	"errors"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func writeMany(t testing.TB, server *esdbservertest.Server, stream string, n int) {
	t.Helper()
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{EventID: uuid.New(), EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
	}
	server.Append(t, stream, events...)
}

func TestAnEventComesBackAsItWasRecorded(t *testing.T) {
	server, store, counters := counters(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	server.SetClock(at)
	id := cause.NewID()
	command := cause.Cause{
		ID: uuid.MustParse("0198c5a0-0000-7000-8000-000000000001"), CorrelationID: "c", TraceParent: "t",
		Request: "POST /x", BodyHash: "h", At: at.Add(-time.Second),
	}
	event := cause.Cause{ID: uuid.MustParse("0198c5a0-0000-7000-8000-000000000002"), CorrelationID: "c", At: at}
	for _, c := range []cause.Cause{command, event} {
		if _, _, err := counters.Update(within(t), id, c, es.Precondition{}, add(1)); err != nil {
			t.Fatal(err)
		}
	}
	raw := server.Events(t, stream(id))
	for i, want := range []string{
		`{"version":1,"$correlationId":"c","$causationId":"0198c5a0-0000-7000-8000-000000000001","traceparent":"t",` +
			`"request":"POST /x","requestedAt":"2026-03-04T05:06:06Z","bodyHash":"h"}`,
		`{"version":1,"$correlationId":"c","$causationId":"0198c5a0-0000-7000-8000-000000000002"}`,
	} {
		if diff := cmp.Diff(want, string(raw[i].UserMetadata)); diff != "" {
			t.Errorf("metadata %d: %s", i, diff)
		}
	}
	events, err := store.ReadStream(within(t), stream(id), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []es.Recorded{
		{
			ID: command.EventID(stream(id), 0), Stream: stream(id), Revision: 0, Position: es.Position(raw[0].Position.Commit),
			Type: "added", Data: []byte(`{"N":1}`), At: at,
			Metadata: es.Metadata{
				Version: 1, CorrelationID: "c", CausationID: command.ID.String(), TraceParent: "t",
				Request: "POST /x", RequestedAt: at.Add(-time.Second), BodyHash: "h",
			},
		},
		{
			ID: event.EventID(stream(id), 0), Stream: stream(id), Revision: 1, Position: es.Position(raw[1].Position.Commit),
			Type: "added", Data: []byte(`{"N":1}`), At: at,
			Metadata: es.Metadata{Version: 1, CorrelationID: "c", CausationID: event.ID.String()},
		},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Error(diff)
	}
}

func TestReadingPartsOfAStream(t *testing.T) {
	_, store, counters := counters(t)
	id := cause.NewID()
	for range 3 {
		update(t, counters, id, 1)
	}
	for from, want := range map[es.Revision]int{es.NoStream: 3, 0: 3, 2: 1, 3: 0, 99: 0} {
		events, err := store.ReadStream(within(t), stream(id), from)
		if err != nil || len(events) != want {
			t.Errorf("from %d: %d events, %v; want %d", from, len(events), err, want)
		}
	}
	first, err := store.ReadFirst(within(t), stream(id))
	if err != nil || first.Revision != 0 {
		t.Errorf("first is %d, %v", first.Revision, err)
	}
	if _, err := store.ReadFirst(within(t), stream(cause.NewID())); !errors.Is(err, es.ErrNotFound) {
		t.Errorf("of no stream: got %v, want ErrNotFound", err)
	}
}

func TestMetadataWrittenByOthers(t *testing.T) {
	server, store, _ := counters(t)
	write(t, server, "counter-1", "added", `{}`, "")
	write(t, server, "counter-1", "added", `{}`, `{"$correlationId":"c","more":[1]}`)
	events, err := store.ReadStream(within(t), "counter-1", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []es.Metadata{{}, {CorrelationID: "c"}} {
		if events[i].Metadata != want || events[i].Unreadable != nil {
			t.Errorf("got %+v, %v; want %+v", events[i].Metadata, events[i].Unreadable, want)
		}
	}
}

func TestTheAggregateIsInTheNameOfTheStream(t *testing.T) {
	id := uuid.MustParse("0198c5a0-0000-7000-8000-000000000001")
	for stream, want := range map[string]uuid.UUID{
		es.StreamName("order", id):      id,
		es.StreamName("order-line", id): id,
		"order-" + id.String()[:35]:     uuid.Nil,
		id.String():                     uuid.Nil,
		"order" + id.String():           uuid.Nil,
		"orders":                        uuid.Nil,
		"":                              uuid.Nil,
	} {
		if got := (es.Recorded{Stream: stream}).AggregateID(); got != want {
			t.Errorf("%q: %s, want %s", stream, got, want)
		}
	}
}
