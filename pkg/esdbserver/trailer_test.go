package esdbserver_test

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestErrorsAreNamedInTheTrailer(t *testing.T) {
	s := newScript(t)
	s.do("append any: a b")
	s.do("append to gone any: a")
	client := dial(t, s.store)
	tombstone := func(name string, expected func(*streams.TombstoneReq_Options), trailer *metadata.MD) error {
		options := &streams.TombstoneReq_Options{StreamIdentifier: rawStream(name)}
		expected(options)
		_, err := client.Tombstone(withPatience(t), &streams.TombstoneReq{Options: options}, grpc.Trailer(trailer))
		return err
	}
	remove := func(name string, expected func(*streams.DeleteReq_Options), trailer *metadata.MD) error {
		options := &streams.DeleteReq_Options{StreamIdentifier: rawStream(name)}
		expected(options)
		_, err := client.Delete(withPatience(t), &streams.DeleteReq{Options: options}, grpc.Trailer(trailer))
		return err
	}
	deleteAny := func(o *streams.DeleteReq_Options) {
		o.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: empty}
	}
	if err := tombstone("gone", func(o *streams.TombstoneReq_Options) {
		o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: empty}
	}, &metadata.MD{}); err != nil {
		t.Fatal(err)
	}
	if err := tombstone("gone-ü", func(o *streams.TombstoneReq_Options) {
		o.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: empty}
	}, &metadata.MD{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		call func(*metadata.MD) error
		code codes.Code
		want string
	}{
		{"append to a tombstoned stream", func(trailer *metadata.MD) error {
			_, err := sendAppend(withPatience(t), client, trailer, rawAppendAny("gone"))
			return err
		}, codes.FailedPrecondition, "exception=stream-deleted stream-name=gone"},
		{"read of a tombstoned stream", func(trailer *metadata.MD) (err error) {
			_, *trailer, err = readRaw(t, client, changed(tenOfStream, func(o *streams.ReadReq_Options) { o.GetStream().StreamIdentifier = rawStream("gone") }))
			return err
		}, codes.FailedPrecondition, "exception=stream-deleted stream-name=gone"},
		{"read of a tombstoned stream's metadata", func(trailer *metadata.MD) (err error) {
			_, *trailer, err = readRaw(t, client, changed(tenOfStream, func(o *streams.ReadReq_Options) { o.GetStream().StreamIdentifier = rawStream("$$gone") }))
			return err
		}, codes.FailedPrecondition, "exception=stream-deleted stream-name=$$gone"},
		{"a name that a trailer cannot carry is escaped", func(trailer *metadata.MD) error {
			_, err := sendAppend(withPatience(t), client, trailer, rawAppendAny("gone-ü"))
			return err
		}, codes.FailedPrecondition, "exception=stream-deleted stream-name=gone-%C3%BC"},
		{
			"delete of a tombstoned stream", func(trailer *metadata.MD) error { return remove("gone", deleteAny, trailer) },
			codes.FailedPrecondition, "exception=stream-deleted stream-name=gone",
		},
		{"delete at another revision", func(trailer *metadata.MD) error {
			return remove("s", func(o *streams.DeleteReq_Options) {
				o.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: 5}
			}, trailer)
		}, codes.FailedPrecondition, "exception=wrong-expected-version stream-name=s expected-version=5 actual-version=1"},
		{
			"delete of a stream that never was", func(trailer *metadata.MD) error { return remove("never", deleteAny, trailer) },
			codes.FailedPrecondition, "exception=wrong-expected-version stream-name=never expected-version=-2 actual-version=-1",
		},
		{"tombstone that expects no stream", func(trailer *metadata.MD) error {
			return tombstone("s", func(o *streams.TombstoneReq_Options) {
				o.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: empty}
			}, trailer)
		}, codes.FailedPrecondition, "exception=wrong-expected-version stream-name=s expected-version=-1 actual-version=1"},
		{"tombstone that expects a stream", func(trailer *metadata.MD) error {
			return tombstone("never", func(o *streams.TombstoneReq_Options) {
				o.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: empty}
			}, trailer)
		}, codes.FailedPrecondition, "exception=wrong-expected-version stream-name=never expected-version=-4 actual-version=-1"},
		{"delete of a metadata stream", func(trailer *metadata.MD) error { return remove("$$s", deleteAny, trailer) }, codes.InvalidArgument, ""},
		{"delete without an expected revision", func(trailer *metadata.MD) error {
			return remove("s", func(*streams.DeleteReq_Options) {}, trailer)
		}, codes.InvalidArgument, ""},
		{"delete without a name", func(trailer *metadata.MD) error { return remove("", deleteAny, trailer) }, codes.Unknown, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var trailer metadata.MD
			err := test.call(&trailer)
			if status.Code(err) != test.code {
				t.Errorf("error %v, want %v", err, test.code)
			}
			var got []string
			for _, key := range []string{"exception", "stream-name", "expected-version", "actual-version"} {
				for _, value := range trailer.Get(key) {
					got = append(got, key+"="+value)
				}
			}
			if joined := strings.Join(got, " "); joined != test.want {
				t.Errorf("trailer %q, want %q", joined, test.want)
			}
		})
	}
}
