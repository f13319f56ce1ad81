package esdbserver_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// How errors are named is in package protocoltest; this is what the original answers differently, or not at all.

func TestNameThatATrailerCannotCarryIsEscaped(t *testing.T) {
	s := newScript(t)
	client := dial(t, s.store)
	if _, err := client.Tombstone(withPatience(t), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: rawStream("gone-ü"), ExpectedStreamRevision: &streams.TombstoneReq_Options_NoStream{NoStream: empty},
	}}); err != nil {
		t.Fatal(err)
	}
	var trailer metadata.MD
	_, err := sendAppend(withPatience(t), client, &trailer, rawAppendAny("gone-ü"))
	if got := trailer.Get("stream-name"); status.Code(err) != codes.FailedPrecondition || len(got) != 1 || got[0] != "gone-%C3%BC" {
		t.Errorf("error %v, stream name %q", err, got)
	}
}

func TestRubbishInADeletionIsAnsweredWithAnError(t *testing.T) {
	client := dial(t, newScript(t).store)
	expectAny := &streams.DeleteReq_Options_Any{Any: empty}
	for name, test := range map[string]struct {
		options *streams.DeleteReq_Options
		code    codes.Code
	}{
		"nothing at all":        {nil, codes.Unknown},
		"no name":               {&streams.DeleteReq_Options{StreamIdentifier: rawStream(""), ExpectedStreamRevision: expectAny}, codes.Unknown},
		"no expected revision":  {&streams.DeleteReq_Options{StreamIdentifier: rawStream("s")}, codes.InvalidArgument},
		"a metadata stream":     {&streams.DeleteReq_Options{StreamIdentifier: rawStream("$$s"), ExpectedStreamRevision: expectAny}, codes.InvalidArgument},
		"$all":                  {&streams.DeleteReq_Options{StreamIdentifier: rawStream("$all"), ExpectedStreamRevision: expectAny}, codes.InvalidArgument},
		"a name that is no UTF": {&streams.DeleteReq_Options{StreamIdentifier: rawStream("\xff"), ExpectedStreamRevision: expectAny}, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := client.Delete(withPatience(t), &streams.DeleteReq{Options: test.options}); status.Code(err) != test.code {
				t.Errorf("error %v, want %v", err, test.code)
			}
		})
	}
}
