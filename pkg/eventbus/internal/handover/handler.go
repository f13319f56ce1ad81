package handover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"orderflow/pkg/eventbus"
)

// The pause after a failed attempt grows from first to most.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 15 * time.Second
)

// Handler hands batches of one queue to its eventbus.Handler, one after the other.
type Handler struct {
	// Queue names the consumer in the log.
	Queue  string
	Handle eventbus.Handler
	Log    *slog.Logger
	Count  *Counters

	failing atomic.Pointer[failure]
}

type failure struct {
	since time.Time
	err   error
}

// Failing returns why the handler's last attempt failed, or nil. It is what
// makes a subscription whose handler cannot work not ready.
func (h *Handler) Failing() error {
	if f := h.failing.Load(); f != nil {
		return fmt.Errorf("handler of %s fails since %s: %w", h.Queue, f.since.UTC().Format(time.RFC3339), f.err)
	}
	return nil
}

// Until hands the batch over until the handler has taken it, and then reports
// true. It reports false, and the batch must not be acknowledged, once waiting
// ends: no attempt is started after that, while a running one may finish.
// handling is the context the handler gets.
//
// dead are the positions in the batch of the deliveries that belong with the dead
// letters instead of being acknowledged, see eventbus.ErrMalformed.
func (h *Handler) Until(waiting, handling context.Context, batch []eventbus.Delivery) (dead []int, taken bool) {
	defer h.failing.Store(nil)
	pauses := Pauses(firstPause, mostPause)
	for attempt := 1; ; attempt++ {
		if waiting.Err() != nil {
			return nil, false
		}
		h.Count.handed(batch)
		began := time.Now()
		err := h.once(handling, batch)
		h.Count.HandlerTime.Observe(time.Since(began).Seconds(), 1)
		if err == nil || errors.Is(err, eventbus.ErrMalformed) && !strings.HasSuffix(h.Queue, eventbus.DeadSuffix) {
			h.Count.handled(batch)
			return malformed(batch, err), true
		}
		h.Count.HandlerFailures.Add(1)
		if handling.Err() != nil {
			return nil, false // it was told to stop, and said so
		}
		since := time.Now()
		if f := h.failing.Load(); f != nil {
			since = f.since
		}
		h.failing.Store(&failure{since, err})
		pause := pauses.NextBackOff()
		h.Log.WarnContext(handling, "handler failed; the batch is kept and handed over again",
			"queue", h.Queue, "batch", len(batch), "attempt", attempt, "pause", pause.Round(time.Millisecond), "error", err)
		if !Pause(waiting, pause) {
			return nil, false
		}
		for i := range batch {
			batch[i].Redelivered = true
		}
	}
}

// malformed are the positions of what the handler has left.
func malformed(batch []eventbus.Delivery, left error) (positions []int) {
	for i := range batch {
		if left != nil && batch[i].Malformed != nil {
			positions = append(positions, i)
		}
	}
	return positions
}

// once makes a panic an error: one bad line must not end the consumer.
func (h *Handler) once(ctx context.Context, batch []eventbus.Delivery) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("handler panicked: %v\n%s", r, debug.Stack())
		}
	}()
	// The handler gets a slice of its own: whatever it does to it, the batch
	// that is handed over again is the one that was received.
	return h.Handle(ctx, append([]eventbus.Delivery(nil), batch...))
}

// Pauses grow exponentially, with jitter, without an end.
func Pauses(first, most time.Duration) backoff.BackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     first,
		MaxInterval:         most,
		Multiplier:          2,
		RandomizationFactor: 0.3,
	}
}

// Pause waits, and reports false if ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
