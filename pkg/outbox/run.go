package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
// active, when that is another. And it mends the connections while the lease
// cannot be asked for: each of them that leads nowhere would be tried, in turn.
func (o *Outbox) passOn(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if errors.Is(o.lease.Err(), context.DeadlineExceeded) {
				o.dialect.suspect(o.db)
			}
		case <-o.added:
			if !o.lease.Holding() {
				_ = o.ask(ctx, func(ctx context.Context) error { return o.dialect.notify(ctx, o.db) }) // polling stands behind it
			}
		}
	}
}

// ask bounds what is asked of the database. When time is up the connection may
// lead nowhere, and the others with it.
func (o *Outbox) ask(ctx context.Context, question func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, o.options.StatementTimeout)
	defer cancel()
	err := question(within)
	if err != nil && ctx.Err() == nil && within.Err() != nil {
		o.dialect.suspect(o.db)
	}
	return err
}

// publishAll is the active publisher. It returns only when the lease or ctx ended.
func (o *Outbox) publishAll(ctx context.Context, epoch int64) error {
	defer func() { // nothing is wrong with standing by
		for s := range stages {
			_ = o.setProblem(s, nil)
		}
		o.slotKept.Store(0)
	}()
	group, ctx := errgroup.WithContext(ctx)
	p := newPipe(o, epoch)
	group.Go(func() error {
		if o.options.Reader == Capture {
			return o.dialect.capture(ctx, o, p)
		}
		return o.poll(ctx, p, nil)
	})
	group.Go(func() error { return p.publish(ctx) })
	group.Go(func() error { return p.mark(ctx) })
	group.Go(func() error { o.dialect.listen(ctx, o, func() { signal(o.wake) }); return nil })
	group.Go(func() error { o.keepHouse(ctx); return nil })
	group.Go(func() error { o.dialect.watchSlot(ctx, o); return nil })
	return group.Wait()
}

// stage is a part of publishing that can fail by itself.
type stage int

const (
	reading stage = iota
	capturingRows
	publishing
	marking
	stages // how many there are
)

// insist does it until it works. It returns an error only when ctx ended or
// another process has taken over.
func (o *Outbox) insist(ctx context.Context, s stage, do func() error) error {
	for failures := 1; ; failures++ {
		err := do()
		switch {
		case err == nil:
			o.report(ctx, s, nil)
			return nil // also when ctx has ended: what is done is done
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, sqldb.ErrFenced):
			return err
		}
		o.report(ctx, s, err)
		o.failures.Add(1)
		if err := pause(ctx, o.backoff(failures), nil); err != nil {
			return err
		}
	}
}

// report logs where trouble begins and ends, not every attempt in between.
func (o *Outbox) report(ctx context.Context, s stage, err error) {
	before := o.setProblem(s, err)
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		o.log.WarnContext(ctx, "outbox has trouble, trying again", "error", err)
	case err == nil && before != nil:
		o.log.InfoContext(ctx, "outbox works again", "trouble", before)
	}
}

func (o *Outbox) setProblem(s stage, err error) (before error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, o.problems[s] = o.problems[s], err
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
