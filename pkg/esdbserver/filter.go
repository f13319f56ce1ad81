package esdbserver

import (
	"math"
	"regexp"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// defaultWindow is the search window when a client only wants matches counted.
const defaultWindow = 32

// filter selects events of $all by stream name or event type: one of some prefixes, or a regular expression. The nil
// filter selects everything.
type filter struct {
	byType   bool
	prefixes []string
	pattern  *regexp.Regexp
	// checkpointInterval is after how many events that were looked at a subscriber is told how far the search has come.
	checkpointInterval int
}

func parseFilter(options *streams.ReadReq_Options_FilterOptions) (*filter, error) {
	f := &filter{}
	var expression *streams.ReadReq_Options_FilterOptions_Expression
	switch by := options.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		expression = by.StreamIdentifier
	case *streams.ReadReq_Options_FilterOptions_EventType:
		expression, f.byType = by.EventType, true
	default:
		return nil, invalid("A filter is by stream identifier or by event type.")
	}
	f.prefixes = expression.GetPrefix()
	pattern := expression.GetRegex()
	switch {
	case pattern == "" && len(f.prefixes) == 0:
		return nil, invalid("A filter has prefixes or a regular expression.")
	case pattern != "" && len(f.prefixes) > 0:
		return nil, invalid("A filter has either prefixes or a regular expression, not both.")
	case pattern != "":
		var err error
		if f.pattern, err = regexp.Compile(pattern); err != nil {
			return nil, invalid("The regular expression is not one that this server understands (RE2, without look-around): %v", err)
		}
	}
	window := uint64(defaultWindow)
	switch w := options.GetWindow().(type) {
	case *streams.ReadReq_Options_FilterOptions_Max:
		window = uint64(w.Max)
	case *streams.ReadReq_Options_FilterOptions_Count:
	default:
		return nil, invalid("A filter has a window: max or count.")
	}
	interval := max(window, 1) * max(uint64(options.GetCheckpointIntervalMultiplier()), 1)
	f.checkpointInterval = int(min(interval, math.MaxInt32))
	return f, nil
}

// matches reports whether an event is selected. Links are judged by themselves, not by what they point to.
func (f *filter) matches(e *eventlog.Event) bool {
	if f == nil {
		return true
	}
	subject := e.Stream
	if f.byType {
		subject = e.Type
	}
	if f.pattern != nil {
		return f.pattern.MatchString(subject)
	}
	for _, prefix := range f.prefixes {
		if strings.HasPrefix(subject, prefix) {
			return true
		}
	}
	return false
}

// hiddenFromAll reports whether an event is the server's own bookkeeping, which $all does not show.
func hiddenFromAll(e *eventlog.Event) bool {
	const persistentToAll = "$persistentsubscription-$all::"
	if e.Type == "$epoch-information" {
		return true
	}
	return strings.HasPrefix(e.Stream, persistentToAll) &&
		(strings.HasSuffix(e.Stream, "-checkpoint") || strings.HasSuffix(e.Stream, "-parked"))
}
