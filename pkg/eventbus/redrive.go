package eventbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Redriven is what a [Redrive] has done.
type Redriven struct {
	// Published counts the events that were published once more.
	Published int
	// Malformed counts the messages that cannot be published. They are with the
	// dead letters of [Unrouted] now.
	Malformed int
}

// Redrive publishes the events that nobody had subscribed to when they were
// published once more, with their ids. It takes those that are in [Unrouted]
// when it begins, no more than perSecond a second, or as fast as it can where
// that is 0; one that still finds no queue goes back there. Each event leaves the
// queue after it was published, so a failure loses nothing, and can publish some
// of them twice. Whatever the error, what was done is in the result.
//
// A malformed message cannot be published. It leaves the queue too, for that of
// its dead letters, and keeps nobody from what is behind it.
//
// Subscribers get these events late, and those that had them before get them
// again. One Redrive should run at a time.
func Redrive(ctx context.Context, bus Bus, perSecond int) (Redriven, error) {
	total, err := bus.Depth(ctx, Unrouted)
	if err != nil || total == 0 {
		return Redriven{}, err
	}
	r := &redrive{bus: bus, perSecond: perSecond, total: total, over: make(chan struct{})}
	// A batch is published within a second: where that was too long, it comes again as a whole.
	s, err := bus.Subscribe(ctx, Queue{Name: Unrouted, BatchSize: min(perSecond, defaultBatchSize)}, r.handle)
	if err != nil {
		return Redriven{}, fmt.Errorf("redrive: %w", err)
	}
	select {
	case <-r.over:
	case <-ctx.Done():
	}
	// Nothing that the handler may still be doing is worth waiting for.
	now, cancel := context.WithCancel(ctx)
	cancel()
	closed := s.Close(now)
	if errors.Is(closed, context.Canceled) {
		closed = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(r.failed, context.Cause(ctx), closed); err != nil {
		return r.done, fmt.Errorf("redrive after %d of %d: %w", r.done.Published, total, err)
	}
	return r.done, nil
}

type redrive struct {
	bus       Bus
	perSecond int
	total     int
	over      chan struct{} // closed when enough was published, or nothing more can be

	mu     sync.Mutex
	done   Redriven
	failed error
}

func (r *redrive) handle(ctx context.Context, batch []Delivery) error {
	select {
	case <-r.over:
		<-ctx.Done() // this batch stays
		return context.Cause(ctx)
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	events := make([]Event, 0, len(batch))
	for _, d := range batch {
		if d.Malformed == nil {
			events = append(events, d.Event)
		}
	}
	if err := r.bus.Publish(ctx, events...); err != nil {
		return r.end(err)
	}
	malformed := len(batch) - len(events)
	r.done.Published += len(events)
	r.done.Malformed += malformed
	if r.done.Published+r.done.Malformed >= r.total {
		_ = r.end(nil)
	} else if r.perSecond > 0 {
		r.pause(ctx, time.Duration(len(batch))*time.Second/time.Duration(r.perSecond))
	}
	if malformed > 0 {
		return ErrMalformed
	}
	return nil
}

// pause is for the rate. What ends it early does not undo what was published.
func (r *redrive) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (r *redrive) end(why error) error {
	r.failed = why
	close(r.over)
	return why
}
