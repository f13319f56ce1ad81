package esdbserver

import (
	"math"
	"regexp"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// defaultWindow is the search window when a client only wants matches counted.
const defaultWindow = 32

// filter selects events of $all. The nil filter selects everything.
type filter struct {
	*eventlog.Filter
	// checkpointInterval is after how many events that were looked at a subscriber is told how far the search has come.
	checkpointInterval int
}

func parseFilter(options *streams.ReadReq_Options_FilterOptions) (*filter, error) {
	var (
		expression *streams.ReadReq_Options_FilterOptions_Expression
		byType     bool
	)
	switch by := options.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		expression = by.StreamIdentifier
	case *streams.ReadReq_Options_FilterOptions_EventType:
		expression, byType = by.EventType, true
	default:
		return nil, invalid("A filter is by stream identifier or by event type.")
	}
	selection, err := parseExpression(byType, expression)
	if err != nil {
		return nil, err
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
	return &filter{Filter: selection, checkpointInterval: int(min(interval, math.MaxInt32))}, nil
}

// filterExpression is what the messages of the different services have in common.
type filterExpression interface {
	GetRegex() string
	GetPrefix() []string
}

func parseExpression(byType bool, expression filterExpression) (*eventlog.Filter, error) {
	f := &eventlog.Filter{ByType: byType, Prefixes: expression.GetPrefix()}
	pattern := expression.GetRegex()
	switch {
	case pattern == "" && len(f.Prefixes) == 0:
		return nil, invalid("A filter has prefixes or a regular expression.")
	case pattern != "" && len(f.Prefixes) > 0:
		return nil, invalid("A filter has either prefixes or a regular expression, not both.")
	case pattern != "":
		var err error
		if f.Pattern, err = regexp.Compile(pattern); err != nil {
			return nil, invalid("The regular expression is not one that this server understands (RE2, without look-around): %v", err)
		}
	}
	return f, nil
}

// matches reports whether an event is selected.
func (f *filter) matches(e *eventlog.Event) bool { return f == nil || f.Matches(e) }
