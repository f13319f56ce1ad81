package persistent

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// All is the name of the source that is all streams.
const All = "$all"

// End as a start is behind the last event at the time when the group is created.
const End = -1

// Definition is what a group is: where its events come from and how they are handed out.
type Definition struct {
	Stream string // the source, or All
	Group  string
	// StartFrom is the revision, or the position for All, of the first event to deliver: that event included. Or End.
	StartFrom int64
	// Begin is the same with End settled. The subsystem sets it.
	Begin    int64
	Filter   *eventlog.Filter // for All only; nil selects everything
	Settings Settings
}

// Settings are what an update replaces.
type Settings struct {
	ResolveLinks       bool
	ExtraStatistics    bool
	MessageTimeout     time.Duration // how long a consumer may take for an event; 0: until the clock is looked at next
	MaxRetryCount      int           // how often an event is delivered again before it is parked
	CheckpointAfter    time.Duration // how long a checkpoint may wait once MinCheckpointCount is reached
	MinCheckpointCount int
	MaxCheckpointCount int // a checkpoint is written at once when so many events are done
	MaxSubscriberCount int // 0: any number
	LiveBufferSize     int
	HistoryBufferSize  int
	ReadBatchSize      int
	Strategy           string
}

// The ways to choose a consumer for an event.
const (
	RoundRobin          = "RoundRobin"          // one after the other
	DispatchToSingle    = "DispatchToSingle"    // one until it has all it wants, then the next
	Pinned              = "Pinned"              // events of one stream go to one consumer
	PinnedByCorrelation = "PinnedByCorrelation" // events with one $correlationId go to one consumer
)

// Key is the name of a group that everything stored for it is named after.
func (d Definition) Key() string { return Key(d.Stream, d.Group) }

// Key joins the names of a source and a group.
func Key(stream, group string) string { return stream + "::" + group }

func (d Definition) checkpointStream() string {
	return "$persistentsubscription-" + d.Key() + "-checkpoint"
}

func (d Definition) parkedStream() string { return "$persistentsubscription-" + d.Key() + "-parked" }

// place is where an event lies in the group's source.
func (d Definition) place(e *eventlog.Event) int64 {
	if d.Stream == All {
		return e.Position
	}
	return e.Revision
}

// PlaceText writes a place in the source the way it is stored and shown: a revision as a number, a position as a pair.
func (d Definition) PlaceText(place int64) string {
	if d.Stream == All {
		return fmt.Sprintf("C:%d/P:%d", place, place)
	}
	return strconv.FormatInt(place, 10)
}

// parsePlace reads what PlaceText writes.
func (d Definition) parsePlace(text string) (int64, error) {
	if d.Stream == All {
		commit, _, _ := strings.Cut(strings.TrimPrefix(text, "C:"), "/P:")
		text = commit
	}
	return strconv.ParseInt(text, 10, 64)
}

// validate names the first thing in a definition that cannot be.
func (d Definition) validate() error {
	s := d.Settings
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"message timeout", int64(s.MessageTimeout)},
		{"maximum retry count", int64(s.MaxRetryCount)},
		{"time between checkpoints", int64(s.CheckpointAfter)},
		{"minimum checkpoint count", int64(s.MinCheckpointCount)},
		{"maximum checkpoint count", int64(s.MaxCheckpointCount)},
		{"maximum subscriber count", int64(s.MaxSubscriberCount)},
		{"live buffer size", int64(s.LiveBufferSize)},
		{"history buffer size", int64(s.HistoryBufferSize)},
	} {
		if limit.value < 0 || limit.value > math.MaxInt64/2 {
			return &FailedError{Reason: fmt.Sprintf("The %s is out of range.", limit.name)}
		}
	}
	switch {
	case s.ReadBatchSize < 1:
		return &FailedError{Reason: "The read batch size must be above 0."}
	case s.ReadBatchSize >= s.HistoryBufferSize:
		return &FailedError{Reason: "The read batch size must be below the history buffer size."}
	case newStrategy(s.Strategy) == nil:
		return &FailedError{Reason: fmt.Sprintf("The consumer strategy %q does not exist.", s.Strategy)}
	}
	return nil
}
