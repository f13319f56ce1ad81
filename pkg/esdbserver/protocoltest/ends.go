package protocoltest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
)

// aboutEnds are rules about a stream with the events x1 to x33, one more than the server reads at a time. Whoever asks for
// it is told where a stream begins and ends; the Go clients do not, and panic when they are told.
func aboutEnds() []rule {
	var rules []rule
	for _, r := range []struct {
		rule   string
		given  []string
		asks   bool
		change func(*streams.ReadReq_Options)
		want   string
	}{
		{"Nothing is told to those who do not ask", nil, false, count(1), "x1"},
		{"The last revision comes behind the events", nil, true, count(2), "x1 x2 last=32"},
		{"The last revision comes also when there is nothing else to show", nil, true, func(o *streams.ReadReq_Options) {
			o.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: 100}
		}, "last=32"},
		{"The first revision comes when the stream begins behind the first page", []string{`metadata {"$tb":32}`}, true, count(100), "first=32 x33 last=32"},
		{"Nothing of that is told to those who do not ask", []string{`metadata {"$tb":32}`}, false, count(100), "x33"},
		{"$all has no such messages", nil, true, func(o *streams.ReadReq_Options) {
			o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
				Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{
					Prefix: []string{string(o.GetStream().GetStreamIdentifier().GetStreamName())},
				}},
				Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1,
			}}
			o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}}
			o.ReadDirection = streams.ReadReq_Options_Backwards
			o.CountOption = &streams.ReadReq_Options_Count{Count: 2}
		}, "x33 x32"},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWire(t, server)
			var words []string
			for i := range 33 {
				words = append(words, fmt.Sprintf("x%d", i+1))
			}
			w.given("append any: " + strings.Join(words, " "))
			w.given(r.given...)
			options := w.ofStream("s", 100)
			r.change(options)
			if r.asks {
				options.ControlOption = &streams.ReadReq_Options_ControlOption{Compatibility: 1}
			}
			messages, err := w.messages(options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.want, strings.Join(messages, " ")); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		}})
	}
	return rules
}

func count(n uint64) func(*streams.ReadReq_Options) {
	return func(o *streams.ReadReq_Options) { o.CountOption = &streams.ReadReq_Options_Count{Count: n} }
}
