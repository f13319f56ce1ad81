package esdbserver_test

import (
	"context"
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func rawEvent(id uuid.UUID, eventType string) *streams.AppendReq_ProposedMessage {
	return &streams.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}},
		Metadata: map[string]string{"type": eventType, "content-type": "application/json"},
		Data:     []byte(`{}`),
	}
}

func rawStream(name string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(name)}
}

// rawAppendAny is the first message of an append that expects nothing.
func rawAppendAny(stream string) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier: rawStream(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
}

func proposedMessage(event *streams.AppendReq_ProposedMessage) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: event}}
}

func appendRaw(ctx context.Context, client streams.StreamsClient, stream string, events ...*streams.AppendReq_ProposedMessage) (*streams.AppendResp, error) {
	messages := []*streams.AppendReq{rawAppendAny(stream)}
	for _, e := range events {
		messages = append(messages, proposedMessage(e))
	}
	return sendAppend(ctx, client, nil, messages...)
}

// sendAppend sends any messages as an append and returns the answer; the trailer goes to trailer.
func sendAppend(ctx context.Context, client streams.StreamsClient, trailer *metadata.MD, messages ...*streams.AppendReq) (*streams.AppendResp, error) {
	var options []grpc.CallOption
	if trailer != nil {
		options = append(options, grpc.Trailer(trailer))
	}
	call, err := client.Append(ctx, options...)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if err := call.Send(m); err != nil {
			break // the reason comes with the answer
		}
	}
	return call.CloseAndRecv()
}

func TestRubbishInAnAppendIsAnsweredWithAnError(t *testing.T) {
	good := rawEvent(uuid.New(), "x")
	change := func(f func(*streams.AppendReq_ProposedMessage)) *streams.AppendReq {
		e := proto.CloneOf(good)
		f(e)
		return proposedMessage(e)
	}
	first := rawAppendAny("s")
	tests := []struct {
		name     string
		messages []*streams.AppendReq
		code     codes.Code
		trailer  map[string]string
	}{
		{"nothing at all", nil, codes.InvalidArgument, nil},
		{"an empty message", []*streams.AppendReq{{}}, codes.InvalidArgument, nil},
		{"an event before the options", []*streams.AppendReq{proposedMessage(good), first}, codes.InvalidArgument, nil},
		{"options twice", []*streams.AppendReq{first, first}, codes.InvalidArgument, nil},
		{"options without anything", []*streams.AppendReq{{Content: &streams.AppendReq_Options_{}}}, codes.Unknown, nil},
		{"no stream name", []*streams.AppendReq{rawAppendAny("")}, codes.Unknown, nil},
		{"a stream name that is no UTF-8", []*streams.AppendReq{rawAppendAny("\xff")}, codes.InvalidArgument, nil},
		{"the stream $all", []*streams.AppendReq{rawAppendAny("$all"), proposedMessage(good)}, codes.InvalidArgument, nil},
		{"no expected revision", []*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: rawStream("s"),
		}}}}, codes.InvalidArgument, nil},
		{"a revision out of range", []*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: rawStream("s"), ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: math.MaxInt64 + 1},
		}}}}, codes.InvalidArgument, nil},
		{
			"an event without anything",
			[]*streams.AppendReq{first, {Content: &streams.AppendReq_ProposedMessage_{}}},
			codes.InvalidArgument,
			map[string]string{"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type"},
		},
		{
			"no content type",
			[]*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) { delete(e.Metadata, "content-type") })},
			codes.InvalidArgument,
			map[string]string{"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type"},
		},
		{
			"no type",
			[]*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) { delete(e.Metadata, "type") })},
			codes.InvalidArgument,
			map[string]string{"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type"},
		},
		{"an empty type", []*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) { e.Metadata["type"] = "" })}, codes.Unknown, nil},
		{"no id", []*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) { e.Id = nil })}, codes.Unknown, nil},
		{"an id without a value", []*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) { e.Id = &shared.UUID{} })}, codes.Unknown, nil},
		{"an id that is no UUID", []*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) {
			e.Id = &shared.UUID{Value: &shared.UUID_String_{String_: "17"}}
		})}, codes.Unknown, nil},
		{"the nil id", []*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) {
			e.Id = &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{}}}
		})}, codes.Unknown, nil},
		{"more than one append may hold", []*streams.AppendReq{
			first, change(func(e *streams.AppendReq_ProposedMessage) { e.Data = make([]byte, 600) }), change(func(e *streams.AppendReq_ProposedMessage) { e.Data = make([]byte, 600) }),
		}, codes.InvalidArgument, map[string]string{"exception": "maximum-append-size-exceeded", "maximum-append-size": "1000"}},
		{
			"more than one event may hold",
			[]*streams.AppendReq{first, change(func(e *streams.AppendReq_ProposedMessage) { e.Data = make([]byte, 801) })},
			codes.InvalidArgument,
			map[string]string{
				"exception": "maximum-append-event-size-exceeded", "maximum-append-event-size": "800",
				"event-id": uuidOf(good).String(), "proposed-append-event-size": "803",
			},
		},
	}
	store := esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) {
		c.MaxAppendSize, c.MaxAppendEventSize = 1000, 800
	}))
	client := dial(t, store)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var trailer metadata.MD
			_, err := sendAppend(withPatience(t), client, &trailer, test.messages...)
			if got := status.Code(err); got != test.code {
				t.Errorf("code %v, want %v (%v)", got, test.code, err)
			}
			for key, want := range test.trailer {
				if diff := cmp.Diff([]string{want}, trailer.Get(key)); diff != "" {
					t.Errorf("trailer %s (-want +got):\n%s", key, diff)
				}
			}
		})
	}
	if events := store.All(t); len(events) != 0 {
		t.Errorf("%d events were written all the same", len(events))
	}
}

func uuidOf(e *streams.AppendReq_ProposedMessage) uuid.UUID {
	return uuid.MustParse(e.GetId().GetString_())
}
