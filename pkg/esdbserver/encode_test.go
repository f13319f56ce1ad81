package esdbserver

import (
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// message is an event as the generated code has it.
func message(event, link *eventlog.Event, uuidAsString bool) *streams.ReadResp {
	original := event
	if link != nil {
		original = link
	}
	recorded := func(e *eventlog.Event) *streams.ReadResp_ReadEvent_RecordedEvent {
		if e == nil {
			return nil
		}
		id := &shared.UUID{Value: &shared.UUID_String_{String_: e.ID.String()}}
		if !uuidAsString {
			id = &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
				MostSignificantBits:  int64(binary.BigEndian.Uint64(e.ID[:8])),
				LeastSignificantBits: int64(binary.BigEndian.Uint64(e.ID[8:])),
			}}}
		}
		contentType := "application/octet-stream"
		if e.JSON {
			contentType = "application/json"
		}
		return &streams.ReadResp_ReadEvent_RecordedEvent{
			Id:               id,
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(e.Stream)},
			StreamRevision:   uint64(e.Revision),
			PreparePosition:  uint64(original.Position),
			CommitPosition:   uint64(original.Position),
			Metadata:         map[string]string{"type": e.Type, "content-type": contentType, "created": strconv.FormatInt(e.Created, 10)},
			CustomMetadata:   e.Metadata,
			Data:             e.Data,
		}
	}
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event:    recorded(event),
		Link:     recorded(link),
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: uint64(original.Position)},
	}}}
}

// delivered is a message of a persistent subscription: the same fields under another name, and the count of retries.
func delivered(read *streams.ReadResp, retries int32) *persistent.ReadResp {
	recorded := func(e *streams.ReadResp_ReadEvent_RecordedEvent) *persistent.ReadResp_ReadEvent_RecordedEvent {
		if e == nil {
			return nil
		}
		return &persistent.ReadResp_ReadEvent_RecordedEvent{
			Id: e.GetId(), StreamIdentifier: e.GetStreamIdentifier(), StreamRevision: e.GetStreamRevision(),
			PreparePosition: e.GetPreparePosition(), CommitPosition: e.GetCommitPosition(),
			Metadata: e.GetMetadata(), CustomMetadata: e.GetCustomMetadata(), Data: e.GetData(),
		}
	}
	event := read.GetEvent()
	return &persistent.ReadResp{Content: &persistent.ReadResp_Event{Event: &persistent.ReadResp_ReadEvent{
		Event: recorded(event.GetEvent()), Link: recorded(event.GetLink()),
		Position: &persistent.ReadResp_ReadEvent_CommitPosition{CommitPosition: event.GetCommitPosition()},
		Count:    &persistent.ReadResp_ReadEvent_RetryCount{RetryCount: retries},
	}}}
}

func TestEncodedEventIsWhatTheGeneratedCodeWouldSend(t *testing.T) {
	events := rapid.Custom(func(r *rapid.T) *eventlog.Event {
		return &eventlog.Event{
			Position: rapid.Int64Min(0).Draw(r, "position"),
			Revision: rapid.Int64Min(0).Draw(r, "revision"),
			Stream:   rapid.StringN(1, 300, -1).Draw(r, "stream"),
			ID:       uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "id")),
			Type:     rapid.StringN(1, 200, -1).Draw(r, "type"),
			JSON:     rapid.Bool().Draw(r, "json"),
			Created:  rapid.Int64().Draw(r, "created"),
			Data:     rapid.SliceOfN(rapid.Byte(), -1, 2000).Draw(r, "data"),
			Metadata: rapid.SliceOfN(rapid.Byte(), -1, 200).Draw(r, "metadata"),
		}
	})
	rapid.Check(t, func(r *rapid.T) {
		event, link := events.Draw(r, "event"), (*eventlog.Event)(nil)
		switch rapid.IntRange(0, 2).Draw(r, "link") {
		case 1: // a link that was followed
			link = events.Draw(r, "link")
		case 2: // a link whose target is gone
			event, link = nil, event
		}
		uuidAsString := rapid.Bool().Draw(r, "uuid as string")
		retries := rapid.Int32Min(0).Draw(r, "retries")
		same(r, message(event, link, uuidAsString), encodeEvent(event, link, uuidAsString), &streams.ReadResp{})
		same(r, delivered(message(event, link, uuidAsString), retries), encodeDelivery(event, link, retries, uuidAsString), &persistent.ReadResp{})
	})
}

func same(r *rapid.T, want proto.Message, e encoded, got proto.Message) {
	r.Helper()
	sent, err := newCodec().Marshal(e)
	if err != nil {
		r.Fatal(err)
	}
	defer sent.Free()
	if err := proto.Unmarshal(sent[0].ReadOnlyData(), got); err != nil {
		r.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		r.Errorf("(-generated +encoded):\n%s", diff)
	}
	if size := proto.Size(want); size != sent.Len() {
		r.Errorf("%d bytes, generated code sends %d", sent.Len(), size)
	}
}
