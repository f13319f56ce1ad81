package esdbserver

import (
	"context"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// allSubscription is a subscription to $all on its way through the log.
type allSubscription struct {
	*reader
	position   int64 // of the last event that was looked at, whether it was sent or not
	checkpoint int64 // position that the client was told last
	considered int   // events looked at since
}

// subscribeAll sends the events behind the start, then those to come, each once and in order, until the client leaves.
// With a filter it also tells how far it has looked, so that a client who resumes need not search again.
func (r *reader) subscribeAll(ctx context.Context) error {
	s := &allSubscription{reader: r, position: r.from.at}
	switch r.from.kind {
	case fromStart:
		s.position = 0
	case fromEnd:
		s.position = r.log.LastPosition()
	default:
		if err := r.log.CheckPosition(ctx, s.position); err != nil {
			return err
		}
	}
	s.checkpoint = s.position
	if err := r.confirm(); err != nil {
		return err
	}
	for {
		if err := s.catchUp(ctx); err != nil {
			return err
		}
		if err := r.caughtUp(); err != nil {
			return err
		}
		if err := s.follow(ctx); err != nil {
			return err
		}
	}
}

// catchUp sends what the log holds, in pages no larger than the checkpoint interval.
func (s *allSubscription) catchUp(ctx context.Context) error {
	limit := int64(math.MaxInt64)
	if s.filter != nil {
		limit = int64(s.filter.checkpointInterval)
	}
	for s.position < math.MaxInt64 {
		page, err := s.log.ReadAll(ctx, s.position+1, false, limit)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if err := s.consider(ctx, e); err != nil {
				return err
			}
		}
		if s.filter != nil && (!page.More || s.considered >= s.filter.checkpointInterval) {
			if err := s.tellCheckpoint(); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
	}
	return nil
}

// follow sends new events until the subscription has fallen behind.
func (s *allSubscription) follow(ctx context.Context) error {
	buf := make([]*eventlog.Event, 0, liveEvents)
	for {
		events, wait, ok := s.log.After(s.position, buf)
		if !ok {
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		for _, e := range events {
			if err := s.consider(ctx, e); err != nil {
				return err
			}
			if s.filter != nil && s.considered >= s.filter.checkpointInterval {
				if err := s.tellCheckpoint(); err != nil {
					return err
				}
			}
		}
	}
}

// consider looks at one event and sends it if it is wanted.
func (s *allSubscription) consider(ctx context.Context, e *eventlog.Event) error {
	s.position = e.Position
	if eventlog.HiddenFromAll(e) {
		return nil
	}
	s.considered++
	if !s.filter.matches(e) {
		return nil
	}
	return s.deliver(ctx, e)
}

// tellCheckpoint tells how far the search has come, unless that is no further than before.
func (s *allSubscription) tellCheckpoint() error {
	s.considered = 0
	if s.position <= s.checkpoint {
		return nil
	}
	s.checkpoint = s.position
	return s.send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{
		CommitPosition: uint64(s.position), PreparePosition: uint64(s.position),
	}}})
}
