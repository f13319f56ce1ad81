package esdbserver

import (
	"context"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// liveEvents is how many events a subscription takes from memory at a time.
const liveEvents = 128

// confirm is the first message of every subscription.
func (r *reader) confirm() error {
	return r.send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: &streams.ReadResp_SubscriptionConfirmation{
		SubscriptionId: uuid.NewString(),
	}}})
}

// caughtUp is sent each time a subscription goes live.
func (r *reader) caughtUp() error {
	return r.send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

// subscribeStream sends the events of a stream behind the start, then those to come, each once and in order, until the
// client leaves or the stream is tombstoned. It reads the log until it has caught up and then follows the writer; a
// client so slow that the writer runs out of sight is served from the log again.
func (r *reader) subscribeStream(ctx context.Context) error {
	// The position is taken first: whatever is committed later is found behind it.
	position := r.log.LastPosition()
	stream, err := r.log.Stream(ctx, r.stream)
	if err != nil {
		return err
	}
	if stream.Tombstoned() {
		return streamDeleted(r.stream)
	}
	last := r.from.at // revision of the last event that the client has
	switch r.from.kind {
	case fromStart:
		last = -1
	case fromEnd:
		last = stream.Last
	case fromPoint:
		last = min(last, eventlog.TombstoneRevision-1) // a tombstone ends every subscription
	}
	if err := r.confirm(); err != nil {
		return err
	}
	for {
		if last, err = r.catchUpStream(ctx, last); err != nil {
			return err
		}
		if err := r.caughtUp(); err != nil {
			return err
		}
		if last, err = r.followStream(ctx, position, last); err != nil {
			return err
		}
		position = r.log.LastPosition()
	}
}

// catchUpStream sends what the log holds behind revision last.
func (r *reader) catchUpStream(ctx context.Context, last int64) (int64, error) {
	for more := true; more; {
		page, err := r.log.ReadStream(ctx, r.stream, last+1, false, math.MaxInt64)
		if err != nil {
			return last, err
		}
		for _, e := range page.Events {
			if err := r.deliver(ctx, e); err != nil {
				return last, err
			}
			last = e.Revision
		}
		if page.Stream.Tombstoned() && !page.More {
			return last, streamDeleted(r.stream)
		}
		more = page.More
	}
	return last, nil
}

// followStream sends new events of the stream until the subscription has fallen behind. Events that catching up has sent
// already are known by their revision.
func (r *reader) followStream(ctx context.Context, position, last int64) (int64, error) {
	buf := make([]*eventlog.Event, 0, liveEvents)
	for {
		events, next, ok, err := r.log.AfterInStream(ctx, r.stream, position, buf)
		switch {
		case err != nil:
			return last, err
		case !ok:
			return last, nil
		}
		position = next
		for _, e := range events {
			if e.Revision <= last {
				continue
			}
			if err := r.deliver(ctx, e); err != nil {
				return last, err
			}
			if last = e.Revision; last == eventlog.TombstoneRevision {
				return last, streamDeleted(r.stream)
			}
		}
	}
}

// pause waits for a channel; with a nil one it only checks that the client is still there.
func pause(ctx context.Context, wait <-chan struct{}) error {
	if wait == nil {
		return ctx.Err()
	}
	select {
	case <-wait:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
