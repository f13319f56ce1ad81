package eventbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Redrive publishes the events that nobody had subscribed to when they were
// published once more, with their ids, and returns how many. It takes those
// that are in [Unrouted] when it begins; one that still finds no queue goes
// back there. Each event leaves the queue after it was published, so a failure
// loses nothing, and can publish some of them twice.
//
// A malformed message cannot be published. It ends the redrive with an error,
// and stays where it is together with what is behind it.
//
// Subscribers get these events late, and those that had them before get them
// again. One Redrive should run at a time.
func Redrive(ctx context.Context, bus Bus) (published int, err error) {
	total, err := bus.Depth(ctx, Unrouted)
	if err != nil || total == 0 {
		return 0, err
	}
	r := &redrive{bus: bus, total: total, over: make(chan struct{})}
	s, err := bus.Subscribe(ctx, Queue{Name: Unrouted}, r.handle)
	if err != nil {
		return 0, fmt.Errorf("redrive: %w", err)
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
		return r.published, fmt.Errorf("redrive after %d of %d: %w", r.published, total, err)
	}
	return r.published, nil
}

type redrive struct {
	bus   Bus
	total int
	over  chan struct{} // closed when enough was published, or nothing more can be

	mu        sync.Mutex
	published int
	failed    error
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
		if d.Malformed != nil {
			return r.end(fmt.Errorf("message %s: %w", d.Event.ID, d.Malformed))
		}
		events = append(events, d.Event)
	}
	if err := r.bus.Publish(ctx, events...); err != nil {
		return r.end(err)
	}
	if r.published += len(events); r.published >= r.total {
		_ = r.end(nil)
	}
	return nil
}

func (r *redrive) end(why error) error {
	r.failed = why
	close(r.over)
	return why
}
