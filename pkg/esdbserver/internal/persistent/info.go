package persistent

import (
	"cmp"
	"context"
	"slices"
)

// NoLimit as the end of a replay is the end of the parked stream.
const NoLimit = int64(1<<63 - 1)

// Info is the state of a group.
type Info struct {
	Definition   Definition
	Live         bool // whether the group keeps up with the log
	Measured     Measured
	Checkpointed int64 // place of the last checkpoint, -1 when there is none
	LastKnown    int64 // place of the last event of the source, -1 when there is none
	// How many events are where.
	HistoryBuffer, LiveBuffer, RetryBuffer, InFlight, Outstanding int
	Parked                                                        int64
	Consumers                                                     []ConsumerInfo
}

// ConsumerInfo is the state of a consumer.
type ConsumerInfo struct {
	Peer      Peer
	Measured  Measured
	Slots     int // how many more events it would take
	InFlight  int
	Latencies []Latency // with extra statistics
}

// Info tells the state of one group.
func (s *Subsystem) Info(ctx context.Context, stream, name string) (Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, err := s.find(stream, name)
	if err != nil {
		return Info{}, err
	}
	return g.info(ctx)
}

// List tells the state of the groups of a source, or of all groups when stream is empty, ordered by key. It fails with
// ErrNotFound for a source without groups.
func (s *Subsystem) List(ctx context.Context, stream string) ([]Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	infos := []Info{}
	for _, g := range s.groups {
		if stream != "" && g.definition.Stream != stream {
			continue
		}
		info, err := g.info(ctx)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	if stream != "" && len(infos) == 0 {
		return nil, ErrNotFound
	}
	slices.SortFunc(infos, func(a, b Info) int { return cmp.Compare(a.Definition.Key(), b.Definition.Key()) })
	return infos, nil
}

func (g *group) info(ctx context.Context) (Info, error) {
	info := Info{Definition: g.definition, Checkpointed: -1}
	var err error
	if info.LastKnown, err = g.lastKnown(ctx); err != nil {
		return info, err
	}
	if info.Parked, err = g.countParked(ctx); err != nil {
		return info, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	info.Live = g.live
	info.Measured = g.meter.read(now)
	if g.checkpoint.exists {
		info.Checkpointed = g.checkpoint.written.place
	}
	if g.live {
		info.LiveBuffer = len(g.pending)
	} else {
		info.HistoryBuffer = len(g.pending)
	}
	info.RetryBuffer = len(g.retries) + len(g.lost)
	for _, c := range g.consumers {
		info.InFlight += len(c.inFlight)
		info.Consumers = append(info.Consumers, ConsumerInfo{
			Peer: c.peer, Measured: c.meter.read(now), Slots: c.slots - len(c.inFlight), InFlight: len(c.inFlight),
			Latencies: c.meter.statistics(),
		})
	}
	info.Outstanding = info.InFlight + info.RetryBuffer
	return info, nil
}

func (g *group) lastKnown(ctx context.Context) (int64, error) {
	if g.definition.Stream == All {
		if last := g.log.LastPosition(); last > 0 {
			return last, nil
		}
		return -1, nil
	}
	stream, err := g.log.Stream(ctx, g.definition.Stream)
	if err != nil {
		return 0, err
	}
	return stream.Last, nil
}

// countParked counts the events in the parked stream. Those that are being replayed are no longer parked, although they
// are there until they are done.
func (g *group) countParked(ctx context.Context) (int64, error) {
	g.mu.Lock()
	from := max(g.replayTo, g.truncated)
	g.mu.Unlock()
	page, err := g.log.ReadStream(ctx, g.definition.parkedStream(), from, false, 1)
	if err != nil || len(page.Events) == 0 || page.Stream.Tombstoned() {
		return 0, err
	}
	return page.Stream.Last - page.Events[0].Revision + 1, nil
}
