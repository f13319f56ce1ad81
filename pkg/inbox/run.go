package inbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/pkg/sqldb"
)

// pruneEvery is the pause between two looks for inbox rows to forget.
const pruneEvery = time.Hour

// Run tries held events again until ctx ends, and returns nil then. Several
// instances may run it: a held event is tried by one of them at a time. No
// error ends it: it is logged when it begins, shown by [Inbox.Ready], and the
// round is repeated.
func (in *Inbox) Run(ctx context.Context) error {
	in.setRunning(true)
	defer in.setRunning(false)
	failures := 0
	pruned := time.Now() // what waited while nobody ran comes first, and must be known
	for ctx.Err() == nil {
		found, err := in.round(ctx)
		if err == nil && time.Since(pruned) > pruneEvery {
			_, err = in.Prune(ctx, in.options.Retention)
			pruned = time.Now()
		}
		if ctx.Err() != nil {
			break
		}
		in.report(ctx, err)
		wait := in.options.Poll
		switch {
		case err != nil:
			failures++
			wait = min(in.options.Poll<<min(failures, 10), 5*time.Second)
		case found == subjectsAtOnce:
			failures, wait = 0, 0 // there may be more
		default:
			failures = 0
		}
		in.pause(ctx, wait, err == nil)
	}
	return nil
}

func (in *Inbox) setRunning(running bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running = running
}

// report logs where trouble begins and ends, not every round in between.
func (in *Inbox) report(ctx context.Context, err error) {
	in.mu.Lock()
	before := in.problem
	in.problem = err
	in.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		in.log.WarnContext(ctx, "inbox cannot try held events, trying again", "consumer", in.consumer, "error", err)
	case err == nil && before != nil:
		in.log.InfoContext(ctx, "inbox tries held events again", "consumer", in.consumer)
	}
}

// pause waits for d; a newly held event ends it when wakeable.
func (in *Inbox) pause(ctx context.Context, d time.Duration, wakeable bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var wake <-chan struct{}
	if wakeable {
		wake = in.wake
	}
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// subjectsAtOnce bounds the subjects looked at in one round.
const subjectsAtOnce = 256

// round works on every subject whose first held event is due.
func (in *Inbox) round(ctx context.Context) (found int, err error) {
	rows, err := in.db.Query(ctx, `SELECT h.subject FROM inbox_held h
		WHERE h.consumer = $1 AND h.status = 'held' AND h.due_at <= $2 AND NOT EXISTS (
			SELECT 1 FROM inbox_held before WHERE before.consumer = h.consumer AND before.subject = h.subject
				AND before.status = 'held' AND before.seq < h.seq)
		ORDER BY h.due_at LIMIT $3`, in.consumer, sqldb.Micros(time.Now()), subjectsAtOnce)
	if err != nil {
		return 0, fmt.Errorf("look for held events: %w", err)
	}
	due, err := sqldb.Collect(rows, func(r sqldb.Row) (subject string, err error) { return subject, r.Scan(&subject) })
	if err != nil {
		return 0, fmt.Errorf("look for held events: %w", err)
	}
	var group errgroup.Group
	var outage atomic.Bool
	group.SetLimit(in.options.Concurrency)
	for _, subject := range due {
		if outage.Load() {
			break // the others would meet it as well
		}
		group.Go(func() error {
			err := in.drain(ctx, subject)
			outage.CompareAndSwap(false, err != nil)
			return err
		})
	}
	return len(due), group.Wait()
}

// drain tries the held events of a subject in order, until one fails or there
// are no more.
func (in *Inbox) drain(ctx context.Context, subject string) error {
	for ctx.Err() == nil {
		goOn, err := in.attempt(ctx, subject)
		if err != nil {
			return fmt.Errorf("try a held event of %s: %w", subject, err)
		}
		if !goOn {
			return nil
		}
	}
	return nil
}

// delay grows with the attempts that failed. It is spread, so that events which
// failed together do not come back together.
func (in *Inbox) delay(attempts int) time.Duration {
	d := in.options.MaxDelay
	if doublings := attempts - 1; doublings < 40 {
		d = min(in.options.BaseDelay<<doublings, d)
	}
	return d - d/5 + rand.N(2*d/5+1)
}
