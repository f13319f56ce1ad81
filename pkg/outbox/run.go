package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"orderflow/pkg/sqldb"
)

// Run publishes until ctx ends, and returns nil then. In every process but one
// it stands by. No error ends it: it is logged when it begins, shown by
// [Outbox.Ready], and tried again.
func (o *Outbox) Run(ctx context.Context) error {
	o.setRunning(true)
	defer o.setRunning(false)
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { o.passOn(ctx) })
	for ctx.Err() == nil {
		err := o.lease.Run(ctx, o.publishAll)
		if errors.Is(err, sqldb.ErrFenced) {
			o.log.WarnContext(ctx, "outbox was overtaken, standing by", "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *Outbox) setRunning(running bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = running
}

// passOn hands the wake-up of a commit in this process to the one that is
// active, when that is another.
func (o *Outbox) passOn(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.added:
			if !o.lease.Holding() {
				_ = o.dialect.notify(ctx, o.db) // polling stands behind it
			}
		}
	}
}

// publishAll is the active publisher. It returns only when the lease or ctx ended.
func (o *Outbox) publishAll(ctx context.Context, epoch int64) error {
	defer func() { _ = o.setProblem(nil) }() // nothing is wrong with standing by
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { o.dialect.listen(ctx, o.db, o.log, func() { signal(o.wake) }) })
	background.Go(func() { o.keepHouse(ctx) })

	failures := 0
	for {
		n, err := o.window(ctx, epoch)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, sqldb.ErrFenced):
			return err
		case err != nil:
			failures++
			o.failures.Add(1)
			o.report(ctx, err)
			if pause(ctx, o.backoff(failures), nil) != nil {
				return ctx.Err()
			}
			continue
		}
		failures = 0
		o.report(ctx, nil)
		if n == o.options.Window {
			continue // there is more
		}
		if pause(ctx, o.options.Poll, o.wake) != nil {
			return ctx.Err()
		}
	}
}

// report logs where trouble begins and ends, not every attempt in between.
func (o *Outbox) report(ctx context.Context, err error) {
	before := o.setProblem(err)
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		o.log.WarnContext(ctx, "outbox cannot publish, trying again", "error", err)
	case err == nil && before != nil:
		o.log.InfoContext(ctx, "outbox publishes again")
	}
}

func (o *Outbox) setProblem(err error) (before error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, o.problem = o.problem, err
	return before
}

// backoff doubles from 100 ms and is spread, so that services which lost the
// same broker do not come back in step.
func (o *Outbox) backoff(failures int) time.Duration {
	d := min(100*time.Millisecond<<min(failures-1, 20), o.options.MaxPause)
	return d/2 + rand.N(d/2+1)
}

// pause waits for d, or less when woken; it returns an error when ctx ended.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-woken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
