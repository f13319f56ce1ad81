package protocoltest

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// aboutErrors are rules about a stream "s" with the events a and b, a tombstoned stream "gone", and "never". Errors are
// named in the trailer; clients go by that name.
func aboutErrors() []rule {
	var rules []rule
	for _, r := range []struct {
		rule string
		call func(*wire) error
		code codes.Code
		want string // of the trailer; STREAM is the prefix
	}{
		{"Append to a tombstoned stream", func(w *wire) error { return w.append("gone", proposal(textID(), "order-placed")) }, codes.FailedPrecondition, "exception=stream-deleted stream-name=STREAMgone"},
		{"Read of a tombstoned stream", func(w *wire) error { return w.read(w.ofStream("gone", 10)) }, codes.FailedPrecondition, "exception=stream-deleted stream-name=STREAMgone"},
		{"Read of a tombstoned stream's metadata", func(w *wire) error { return w.read(w.ofStream("$$gone", 10)) }, codes.FailedPrecondition, "exception=stream-deleted stream-name=$$STREAMgone"},
		{"Read of a stream that never was is no error", func(w *wire) error { return w.read(w.ofStream("never", 10)) }, codes.OK, ""},
		{"Delete of a tombstoned stream", func(w *wire) error { return w.remove("gone", deleteAny()) }, codes.FailedPrecondition, "exception=stream-deleted stream-name=STREAMgone"},
		{"Delete at another revision", func(w *wire) error { return w.remove("s", deleteFive()) }, codes.FailedPrecondition, "exception=wrong-expected-version stream-name=STREAMs expected-version=5 actual-version=1"},
		{"Delete of a stream that never was", func(w *wire) error { return w.remove("never", deleteAny()) }, codes.FailedPrecondition, "exception=wrong-expected-version stream-name=STREAMnever expected-version=-2 actual-version=-1"},
		{"Tombstone that expects no stream", func(w *wire) error { return w.tombstone("s", tombstoneNoStream()) }, codes.FailedPrecondition, "exception=wrong-expected-version stream-name=STREAMs expected-version=-1 actual-version=1"},
		{"Tombstone that expects a stream", func(w *wire) error { return w.tombstone("never", tombstoneExisting()) }, codes.FailedPrecondition, "exception=wrong-expected-version stream-name=STREAMnever expected-version=-4 actual-version=-1"},
		{"Append of an event without a type", func(w *wire) error { return w.append("s", proposal(textID(), "")) }, codes.InvalidArgument, "exception=missing-required-metadata-property required-metadata-properties=type,content-type"},
		{"Append of an event without a content type", func(w *wire) error {
			event := proposal(textID(), "order-placed")
			delete(event.GetMetadata(), "content-type")
			return w.append("s", event)
		}, codes.InvalidArgument, "exception=missing-required-metadata-property required-metadata-properties=type,content-type"},
		{"Append of an event with the nil id", func(w *wire) error {
			return w.append("s", proposal(&shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{}}}, "order-placed"))
		}, codes.Unknown, ""},
		{"Append of an event with an empty type", func(w *wire) error {
			event := proposal(textID(), "order-placed")
			event.Metadata["type"] = ""
			return w.append("s", event)
		}, codes.Unknown, ""},
		{"Read without saying how ids are wanted", func(w *wire) error {
			options := w.ofStream("s", 10)
			options.UuidOption = nil
			return w.read(options)
		}, codes.InvalidArgument, ""},
		{"Filtered read of a stream", func(w *wire) error {
			options := w.ofStream("s", 10)
			options.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
				Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"x"}}},
				Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1,
			}}
			return w.read(options)
		}, codes.InvalidArgument, ""},
		{"Subscription backwards", func(w *wire) error {
			options := w.ofStream("s", 10)
			options.ReadDirection = streams.ReadReq_Options_Backwards
			options.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
			return w.read(options)
		}, codes.InvalidArgument, ""},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWire(t, server)
			w.given("append any: a b")
			if err := w.tombstone("gone", tombstoneAny()); err != nil {
				t.Fatal(err)
			}
			w.trailer = nil
			if err := r.call(w); status.Code(err) != r.code {
				t.Errorf("error %v, want %v", err, r.code)
			}
			var got []string
			for _, key := range []string{"exception", "stream-name", "expected-version", "actual-version", "required-metadata-properties"} {
				for _, value := range w.trailer.Get(key) {
					got = append(got, key+"="+value)
				}
			}
			if got, want := strings.Join(got, " "), strings.ReplaceAll(r.want, "STREAM", w.Prefix); got != want {
				t.Errorf("trailer %q, want %q", got, want)
			}
		}})
	}
	return rules
}
