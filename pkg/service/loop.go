package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// loop is work that goes on for as long as the service runs.
type loop struct {
	name string
	work func(context.Context) error

	mu      sync.Mutex
	problem error
}

// Loop adds work that goes on for as long as the service runs. When it returns
// or panics before its context has ended it is started again, after a pause
// that grows up to 15 s; meanwhile the service is not ready.
func (s *Service) Loop(name string, work func(context.Context) error) {
	l := &loop{name: name, work: work, problem: errors.New("not started yet")}
	s.loops = append(s.loops, l)
	s.Check(name, func(context.Context) error { return l.state() })
}

func (l *loop) state() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

func (l *loop) setState(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problem = err
}

// settled is how long a loop must have run for its next failure to count as the
// first.
const settled = 30 * time.Second

func (l *loop) run(ctx context.Context, log *slog.Logger) {
	pauses := newPauses()
	for {
		began := time.Now()
		l.setState(nil)
		err := guard(ctx, l.work)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		if time.Since(began) > settled {
			pauses.Reset()
		}
		wait := pauses.NextBackOff()
		l.setState(err)
		log.WarnContext(ctx, "loop failed", "loop", l.name, "error", err, "again_in", wait.Round(time.Millisecond))
		if !sleep(ctx, wait) {
			return
		}
	}
}

// guard turns a panic into an error that carries the stack.
func guard(ctx context.Context, work func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work(ctx)
}

func newPauses() *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = 100 * time.Millisecond
	pauses.MaxInterval = 15 * time.Second
	return pauses
}

// sleep waits and reports whether ctx is still going on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
