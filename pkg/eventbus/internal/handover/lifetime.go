package handover

import (
	"context"
	"sync"
	"time"
)

// grace is how much longer than asked Close waits for a handler that was told
// to stop, so that in the usual case nothing of it runs on when Close returns.
const grace = time.Second

// Lifetime is the life of one subscription: it runs, is asked to stop, is
// forced to stop, is done.
type Lifetime struct {
	stopping context.Context // ends when no new work is to be started
	stop     context.CancelFunc
	forced   context.Context // ends when running handlers must give up
	force    context.CancelFunc
	done     chan struct{}
	finish   sync.Once
}

// NewLifetime returns a lifetime that runs.
func NewLifetime() *Lifetime {
	l := &Lifetime{done: make(chan struct{})}
	l.forced, l.force = context.WithCancel(context.Background())
	l.stopping, l.stop = context.WithCancel(l.forced)
	return l
}

// Stopping ends once the subscription takes nothing new.
func (l *Lifetime) Stopping() context.Context { return l.stopping }

// Handling is the context of handlers: it outlives Stopping, so that a running
// handler can finish, and ends when the time for that is over.
func (l *Lifetime) Handling() context.Context { return l.forced }

// Done is closed after Finish.
func (l *Lifetime) Done() <-chan struct{} { return l.done }

// Finish says that nothing of the subscription runs any more.
func (l *Lifetime) Finish() {
	l.finish.Do(func() {
		l.force()
		close(l.done)
	})
}

// Close asks to stop and waits for Finish. When ctx ends first it forces the
// handler to stop and returns the context's error.
func (l *Lifetime) Close(ctx context.Context) error {
	l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
	}
	l.force()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
	}
	return context.Cause(ctx)
}
