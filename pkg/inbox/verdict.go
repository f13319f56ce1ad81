package inbox

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"orderflow/pkg/sqldb"
)

// Park marks an error as final: the event is parked at once instead of being
// tried again.
func Park(err error) error { return parkError{err} }

type parkError struct{ error }

func (e parkError) Unwrap() error { return e.error }

// Outage marks an error as not the event's fault: something the handler needs
// does not work at the moment. No attempt is counted; the consumer pauses.
func Outage(err error) error { return outageError{err} }

type outageError struct{ error }

func (e outageError) Unwrap() error { return e.error }

// verdict is what an error of an attempt means for its event.
type verdict int

const (
	tryAgain verdict = iota
	giveUp
	notItsFault
)

// judge decides whose fault err is. When in doubt it asks the database whether
// it is there: without it no handler could have worked.
func (in *Inbox) judge(ctx context.Context, err error) verdict {
	var park parkError
	var outage outageError
	switch {
	case ctx.Err() != nil:
		return notItsFault
	case errors.As(err, &park):
		return giveUp
	case errors.As(err, &outage), in.options.Outage != nil && in.options.Outage(err):
		return notItsFault
	case sqldb.IsUnavailable(err) && !sqldb.IsBusy(err):
		return notItsFault
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if in.db.Ping(ctx) != nil {
		return notItsFault
	}
	return tryAgain
}

// waited marks the error of a statement that waits for nothing but the locks of
// the subjects: no handler has run, so no event can be at fault.
func waited(err error) error {
	if sqldb.IsBusy(err) {
		return Outage(fmt.Errorf("another instance has the subjects: %w", err))
	}
	return err
}

// call runs a handler, for a bounded time, and turns a panic into an error.
func (in *Inbox) call(ctx context.Context, fn func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, in.options.Timeout)
	defer cancel()
	began := time.Now()
	defer func() {
		in.metrics.handler.Observe(time.Since(began).Seconds(), 1)
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
	}()
	return fn(ctx)
}
