package esdbserver

import (
	"math"
	"time"

	persistentpb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"orderflow/pkg/esdbserver/internal/eventlog"
	"orderflow/pkg/esdbserver/internal/persistent"
)

// createdDefinition understands a request to create a group, also one of a client from before there were groups on $all:
// those name the stream and the revision in fields of their own.
func createdDefinition(options *persistentpb.CreateReq_Options) (persistent.Definition, error) {
	settings := options.GetSettings()
	d := persistent.Definition{Settings: parseSettings(settings)}
	if d.Settings.Strategy = settings.GetConsumerStrategy(); d.Settings.Strategy == "" {
		d.Settings.Strategy = settings.GetNamedConsumerStrategy().String() //nolint:staticcheck // old clients have no other
	}
	stream, all := options.GetStream().GetStreamIdentifier(), options.GetAll()
	if options.GetStreamOption() == nil {
		stream = options.GetStreamIdentifier() //nolint:staticcheck // old clients have no other
	}
	t, err := target(stream, all != nil, options.GetGroupName())
	if d.Stream, d.Group = t.source, t.name; err != nil {
		return d, err
	}
	switch {
	case options.GetStreamOption() == nil:
		d.StartFrom, err = startRevision(settings.GetRevision()) //nolint:staticcheck // old clients have no other
	case all != nil:
		if d.Filter, err = persistentFilter(all); err != nil {
			return d, err
		}
		d.StartFrom, err = startOf(all.GetAllOption())
	default:
		d.StartFrom, err = startOf(options.GetStream().GetRevisionOption())
	}
	return d, firstError(err, notAllAsStream(d.Stream, all != nil))
}

// updatedDefinition understands a request to update a group. The strategy has one form only here, which has no word for
// PinnedByCorrelation.
func updatedDefinition(options *persistentpb.UpdateReq_Options) (persistent.Definition, error) {
	settings := options.GetSettings()
	d := persistent.Definition{Settings: parseSettings(settings)}
	d.Settings.Strategy = settings.GetNamedConsumerStrategy().String()
	stream, all := options.GetStream().GetStreamIdentifier(), options.GetAll()
	if options.GetStreamOption() == nil {
		stream = options.GetStreamIdentifier() //nolint:staticcheck // old clients have no other
	}
	t, err := target(stream, all != nil, options.GetGroupName())
	if d.Stream, d.Group = t.source, t.name; err != nil {
		return d, err
	}
	switch {
	case options.GetStreamOption() == nil:
		d.StartFrom, err = startRevision(settings.GetRevision()) //nolint:staticcheck // old clients have no other
	case all != nil:
		d.StartFrom, err = startOf(all.GetAllOption())
	default:
		d.StartFrom, err = startOf(options.GetStream().GetRevisionOption())
	}
	return d, firstError(err, notAllAsStream(d.Stream, all != nil))
}

// startOf reads the place to start from out of the oneof of Create or Update, for a stream or for $all.
func startOf(oneof any) (int64, error) {
	switch at := oneof.(type) {
	case *persistentpb.CreateReq_AllOptions_Position:
		return startPosition(at.Position)
	case *persistentpb.UpdateReq_AllOptions_Position:
		return startPosition(at.Position)
	case *persistentpb.CreateReq_StreamOptions_Revision:
		return startRevision(at.Revision)
	case *persistentpb.UpdateReq_StreamOptions_Revision:
		return startRevision(at.Revision)
	case *persistentpb.CreateReq_AllOptions_End, *persistentpb.CreateReq_StreamOptions_End,
		*persistentpb.UpdateReq_AllOptions_End, *persistentpb.UpdateReq_StreamOptions_End:
		return persistent.End, nil
	case *persistentpb.CreateReq_AllOptions_Start, *persistentpb.CreateReq_StreamOptions_Start,
		*persistentpb.UpdateReq_AllOptions_Start, *persistentpb.UpdateReq_StreamOptions_Start:
		return 0, nil
	}
	return 0, invalid("The place to start from is missing.")
}

// notAllAsStream refuses $all in the place of a stream, where its start would be taken for a revision.
func notAllAsStream(stream string, all bool) error {
	if stream == persistent.All && !all {
		return invalid("Use the options for $all: it is no stream.")
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// startRevision reads the revision to start from. The largest number means the end.
func startRevision(n uint64) (int64, error) {
	revision, isMax, err := revisionOf(n)
	if isMax {
		return persistent.End, nil
	}
	return revision, err
}

// startPosition reads the position to start from. The largest numbers mean the end.
func startPosition(at interface {
	GetCommitPosition() uint64
	GetPreparePosition() uint64
},
) (int64, error) {
	commit, prepare := at.GetCommitPosition(), at.GetPreparePosition()
	switch {
	case commit == math.MaxUint64 && prepare == math.MaxUint64:
		return persistent.End, nil
	case commit != prepare || commit > math.MaxInt64:
		return 0, eventlog.ErrInvalidPosition
	}
	return int64(commit), nil
}

// persistentFilter reads a filter. Its window is for telling clients how far a search has come, which does not happen
// here: the group's own checkpoint does that.
func persistentFilter(options *persistentpb.CreateReq_AllOptions) (*eventlog.Filter, error) {
	switch by := options.GetFilterOption().(type) {
	case *persistentpb.CreateReq_AllOptions_Filter:
		switch by := by.Filter.GetFilter().(type) {
		case *persistentpb.CreateReq_AllOptions_FilterOptions_StreamIdentifier:
			return parseExpression(false, by.StreamIdentifier)
		case *persistentpb.CreateReq_AllOptions_FilterOptions_EventType:
			return parseExpression(true, by.EventType)
		}
		return nil, invalid("A filter is by stream identifier or by event type.")
	case *persistentpb.CreateReq_AllOptions_NoFilter:
		return nil, nil //nolint:nilnil // the nil filter is one that selects everything
	}
	return nil, invalid("The filter option is missing: say no_filter when there is none.")
}

// settingsMessage is what the settings of the two requests have in common.
type settingsMessage interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
	GetMessageTimeoutMs() int32
	GetMessageTimeoutTicks() int64
	GetCheckpointAfterMs() int32
	GetCheckpointAfterTicks() int64
}

// parseSettings reads settings. Times come in milliseconds or in ticks of 100 ns, the other being 0.
func parseSettings(s settingsMessage) persistent.Settings {
	return persistent.Settings{
		ResolveLinks:       s.GetResolveLinks(),
		ExtraStatistics:    s.GetExtraStatistics(),
		MessageTimeout:     duration(s.GetMessageTimeoutMs(), s.GetMessageTimeoutTicks()),
		MaxRetryCount:      int(s.GetMaxRetryCount()),
		CheckpointAfter:    duration(s.GetCheckpointAfterMs(), s.GetCheckpointAfterTicks()),
		MinCheckpointCount: int(s.GetMinCheckpointCount()),
		MaxCheckpointCount: int(s.GetMaxCheckpointCount()),
		MaxSubscriberCount: int(s.GetMaxSubscriberCount()),
		LiveBufferSize:     int(s.GetLiveBufferSize()),
		HistoryBufferSize:  int(s.GetHistoryBufferSize()),
		ReadBatchSize:      int(s.GetReadBatchSize()),
	}
}

// duration is never cut off silently: what does not fit is as long as can be, which is then found out of range.
func duration(milliseconds int32, ticks int64) time.Duration {
	const tick = 100 * time.Nanosecond
	if ticks > math.MaxInt64/int64(tick) {
		return math.MaxInt64
	}
	return time.Duration(milliseconds)*time.Millisecond + time.Duration(max(ticks, -1))*tick
}
