package esdbserver_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// The parts that requests to read are made of.
var (
	empty    = &shared.Empty{}
	noFilter = &streams.ReadReq_Options_NoFilter{NoFilter: empty}
	asText   = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: empty}}
	tenOfAll = &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: empty}}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 10}, FilterOption: noFilter, UuidOption: asText,
	}
	tenOfStream = &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: rawStream("s"), RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: empty},
		}},
		CountOption: &streams.ReadReq_Options_Count{Count: 10}, FilterOption: noFilter, UuidOption: asText,
	}
	subscribing = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
)

func changed(options *streams.ReadReq_Options, change func(*streams.ReadReq_Options)) *streams.ReadReq_Options {
	options = proto.CloneOf(options)
	change(options)
	return options
}

func typeFilter(prefix ...string) *streams.ReadReq_Options_Filter {
	return &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: prefix}},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1,
	}}
}

// readRaw reads to the end and puts each message in a word.
func readRaw(t *testing.T, client streams.StreamsClient, options *streams.ReadReq_Options) (messages []string, trailer metadata.MD, err error) {
	t.Helper()
	call, err := client.Read(withPatience(t), &streams.ReadReq{Options: options}, grpc.Trailer(&trailer))
	if err != nil {
		return nil, trailer, err
	}
	for {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return messages, trailer, nil
		}
		if err != nil {
			return messages, trailer, err
		}
		switch content := message.GetContent().(type) {
		case *streams.ReadResp_Event:
			messages = append(messages, content.Event.GetEvent().GetMetadata()["type"])
		case *streams.ReadResp_FirstStreamPosition:
			messages = append(messages, fmt.Sprintf("first=%d", content.FirstStreamPosition))
		case *streams.ReadResp_LastStreamPosition:
			messages = append(messages, fmt.Sprintf("last=%d", content.LastStreamPosition))
		case *streams.ReadResp_StreamNotFound_:
			messages = append(messages, "not-found="+string(content.StreamNotFound.GetStreamIdentifier().GetStreamName()))
		default:
			messages = append(messages, fmt.Sprintf("%T", content))
		}
	}
}

func TestRubbishInAReadIsAnsweredWithAnError(t *testing.T) {
	client := dial(t, esdbservertest.New(t))
	all := func(change func(*streams.ReadReq_Options)) *streams.ReadReq_Options { return changed(tenOfAll, change) }
	stream := func(change func(*streams.ReadReq_Options)) *streams.ReadReq_Options {
		return changed(tenOfStream, change)
	}
	for _, test := range []struct {
		name    string
		options *streams.ReadReq_Options
		code    codes.Code
	}{
		{"nothing at all", nil, codes.InvalidArgument},
		{"no stream and not $all", all(func(o *streams.ReadReq_Options) { o.StreamOption = nil }), codes.InvalidArgument},
		{"no count and no subscription", all(func(o *streams.ReadReq_Options) { o.CountOption = nil }), codes.InvalidArgument},
		{"no UUID option", all(func(o *streams.ReadReq_Options) { o.UuidOption = nil }), codes.InvalidArgument},
		{"no filter option", all(func(o *streams.ReadReq_Options) { o.FilterOption = nil }), codes.InvalidArgument},
		{"an unknown direction", all(func(o *streams.ReadReq_Options) { o.ReadDirection = 7 }), codes.InvalidArgument},
		{"a count of 0", all(func(o *streams.ReadReq_Options) { o.CountOption = &streams.ReadReq_Options_Count{} }), codes.Unknown},
		{"no position", all(func(o *streams.ReadReq_Options) {
			o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{}}
		}), codes.InvalidArgument},
		{"forwards from the end", all(func(o *streams.ReadReq_Options) {
			o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: empty}}}
		}), codes.Unknown},
		{"commit and prepare that differ", all(func(o *streams.ReadReq_Options) {
			o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{
				Position: &streams.ReadReq_Options_Position{CommitPosition: 2, PreparePosition: 1},
			}}}
		}), codes.Unknown},
		{"no stream name", stream(func(o *streams.ReadReq_Options) { o.GetStream().StreamIdentifier = nil }), codes.Unknown},
		{"no revision", stream(func(o *streams.ReadReq_Options) { o.GetStream().RevisionOption = nil }), codes.InvalidArgument},
		{"a revision out of range", stream(func(o *streams.ReadReq_Options) {
			o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: math.MaxInt64 + 1}
		}), codes.InvalidArgument},
		{"a filter on a stream", stream(func(o *streams.ReadReq_Options) { o.FilterOption = typeFilter("x") }), codes.InvalidArgument},
		{"a subscription backwards", stream(func(o *streams.ReadReq_Options) {
			o.CountOption, o.ReadDirection = subscribing, streams.ReadReq_Options_Backwards
		}), codes.InvalidArgument},
		{"a filter without an expression", all(func(o *streams.ReadReq_Options) { o.FilterOption = typeFilter() }), codes.InvalidArgument},
		{"a filter by nothing", all(func(o *streams.ReadReq_Options) {
			o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{}}
		}), codes.InvalidArgument},
		{"a filter with two expressions", all(func(o *streams.ReadReq_Options) {
			f := typeFilter("x")
			f.Filter.GetEventType().Regex = "y"
			o.FilterOption = f
		}), codes.InvalidArgument},
		{"a filter without a window", all(func(o *streams.ReadReq_Options) {
			f := typeFilter("x")
			f.Filter.Window = nil
			o.FilterOption = f
		}), codes.InvalidArgument},
		{"a pattern with look-ahead, which RE2 does not have", all(func(o *streams.ReadReq_Options) {
			f := typeFilter()
			f.Filter.GetEventType().Regex = "^(?!x)"
			o.FilterOption = f
		}), codes.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := readRaw(t, client, test.options); status.Code(err) != test.code {
				t.Errorf("error %v, want %v", err, test.code)
			}
		})
	}
}

func TestInvalidPositionIsAnInvalidArgumentToASubscription(t *testing.T) {
	options := changed(tenOfAll, func(o *streams.ReadReq_Options) {
		o.CountOption = subscribing
		o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: 2, PreparePosition: 1},
		}}}
	})
	_, _, err := readRaw(t, dial(t, esdbservertest.New(t)), options)
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "Trying to read from an invalid position.") {
		t.Errorf("error %v", err)
	}
}

func TestFilteredReadOfAllGoesBothWays(t *testing.T) {
	s := newScript(t)
	s.do("append any: x1 y1 x2 y2 y3")
	client := dial(t, s.store)
	for name, test := range map[string]struct {
		change func(*streams.ReadReq_Options)
		want   string
	}{
		"forwards": {func(o *streams.ReadReq_Options) { o.CountOption = &streams.ReadReq_Options_Count{Count: 2} }, "y1 y2"},
		"backwards": {func(o *streams.ReadReq_Options) {
			o.ReadDirection = streams.ReadReq_Options_Backwards
			o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: empty}}}
		}, "y3 y2 y1"},
	} {
		t.Run(name, func(t *testing.T) {
			messages, _, err := readRaw(t, client, changed(tenOfAll, func(o *streams.ReadReq_Options) {
				o.FilterOption = typeFilter("y")
				test.change(o)
			}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, strings.Join(messages, " ")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}
