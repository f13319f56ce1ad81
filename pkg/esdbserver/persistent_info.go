package esdbserver

import (
	"context"
	"math"
	"time"

	persistentpb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"orderflow/pkg/esdbserver/internal/persistent"
)

// GetInfo tells the state of one group.
func (p *persistentService) GetInfo(ctx context.Context, req *persistentpb.GetInfoReq) (*persistentpb.GetInfoResp, error) {
	options := req.GetOptions()
	t, err := target(options.GetStreamIdentifier(), options.GetAll() != nil, options.GetGroupName())
	if err == nil {
		err = p.server.authorize(ctx, toInspectGroups, t.source)
	}
	if err != nil {
		return nil, p.fail(ctx, t, err)
	}
	info, err := p.server.persistent.Info(ctx, t.source, t.name)
	if err != nil {
		return nil, p.fail(ctx, t, err)
	}
	return &persistentpb.GetInfoResp{SubscriptionInfo: wireInfo(info)}, nil
}

// List tells the state of all groups, or of those of one source.
func (p *persistentService) List(ctx context.Context, req *persistentpb.ListReq) (*persistentpb.ListResp, error) {
	var source string
	switch of := req.GetOptions().GetListOption().(type) {
	case *persistentpb.ListReq_Options_ListAllSubscriptions:
	case *persistentpb.ListReq_Options_ListForStream:
		var err error
		if source = persistent.All; of.ListForStream.GetAll() == nil {
			if source, err = streamName(of.ListForStream.GetStream()); err != nil {
				return nil, p.fail(ctx, group{}, err)
			}
		}
	default:
		return nil, p.fail(ctx, group{}, invalid("A list is of all subscriptions or of those of a stream."))
	}
	if err := p.server.authorize(ctx, toInspectGroups, source); err != nil {
		return nil, p.fail(ctx, group{source: source}, err)
	}
	infos, err := p.server.persistent.List(ctx, source)
	if err != nil {
		return nil, p.fail(ctx, group{source: source}, err)
	}
	answer := &persistentpb.ListResp{}
	for _, info := range infos {
		answer.Subscriptions = append(answer.Subscriptions, wireInfo(info))
	}
	return answer, nil
}

// statusText says whether a group keeps up with the log.
func statusText(info persistent.Info) string {
	if info.Live {
		return "Live"
	}
	return "Behind"
}

// placeText is a place as text, empty when there is none.
func placeText(d persistent.Definition, place int64) string {
	if place < 0 {
		return ""
	}
	return d.PlaceText(place)
}

// milliseconds is a time as settings carry it: of what was given in ticks and is too long for that, as much as fits.
func milliseconds(d time.Duration) int32 { return int32(min(d.Milliseconds(), math.MaxInt32)) }

func wireInfo(info persistent.Info) *persistentpb.SubscriptionInfo {
	d, s := info.Definition, info.Definition.Settings
	wire := &persistentpb.SubscriptionInfo{
		EventSource:                   d.Stream,
		GroupName:                     d.Group,
		Status:                        statusText(info),
		AveragePerSecond:              int32(info.Measured.PerSecond),
		TotalItems:                    info.Measured.Total,
		CountSinceLastMeasurement:     info.Measured.SinceLast,
		LastCheckpointedEventPosition: placeText(d, info.Checkpointed),
		LastKnownEventPosition:        placeText(d, info.LastKnown),
		ResolveLinkTos:                s.ResolveLinks,
		StartFrom:                     d.PlaceText(d.StartFrom),
		MessageTimeoutMilliseconds:    milliseconds(s.MessageTimeout),
		ExtraStatistics:               s.ExtraStatistics,
		MaxRetryCount:                 int32(s.MaxRetryCount),
		LiveBufferSize:                int32(s.LiveBufferSize),
		BufferSize:                    int32(s.HistoryBufferSize),
		ReadBatchSize:                 int32(s.ReadBatchSize),
		CheckPointAfterMilliseconds:   milliseconds(s.CheckpointAfter),
		MinCheckPointCount:            int32(s.MinCheckpointCount),
		MaxCheckPointCount:            int32(s.MaxCheckpointCount),
		ReadBufferCount:               int32(info.HistoryBuffer),
		LiveBufferCount:               int64(info.LiveBuffer),
		RetryBufferCount:              int32(info.RetryBuffer),
		TotalInFlightMessages:         int32(info.InFlight),
		OutstandingMessagesCount:      int32(info.Outstanding),
		NamedConsumerStrategy:         s.Strategy,
		MaxSubscriberCount:            int32(s.MaxSubscriberCount),
		ParkedMessageCount:            info.Parked,
	}
	for _, c := range info.Consumers {
		connection := &persistentpb.SubscriptionInfo_ConnectionInfo{
			From:                      c.Peer.Address,
			Username:                  c.Peer.User,
			ConnectionName:            c.Peer.ConnectionName,
			AverageItemsPerSecond:     int32(c.Measured.PerSecond),
			TotalItems:                c.Measured.Total,
			CountSinceLastMeasurement: c.Measured.SinceLast,
			AvailableSlots:            int32(c.Slots),
			InFlightMessages:          int32(c.InFlight),
		}
		for _, l := range c.Latencies {
			connection.ObservedMeasurements = append(connection.ObservedMeasurements,
				&persistentpb.SubscriptionInfo_Measurement{Key: l.Name, Value: l.Value})
		}
		wire.Connections = append(wire.Connections, connection)
	}
	return wire
}
