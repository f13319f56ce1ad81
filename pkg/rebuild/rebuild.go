package rebuild

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// leaseName elects the process that works; its epoch fences the swap.
const leaseName = "rebuild"

// Options tune a [Rebuild]. The zero value is right for a service.
type Options struct {
	// Poll is how often it is looked at what is asked for; the default is 200 ms.
	Poll time.Duration
	// Patience is how long a row may differ because an event is in flight before
	// that is a difference; the default is 30 s.
	Patience time.Duration
	// LeaseTTL is how long a rebuild stands still after its process was killed;
	// the default is 5 s.
	LeaseTTL time.Duration
}

// Rebuild makes one read model anew. Safe for concurrent use.
type Rebuild struct {
	live    sqldb.DB
	place   place
	model   Model
	log     *slog.Logger
	options Options
	lease   *sqldb.Lease
	wake    chan struct{}
}

// Migrate makes the table that every [Rebuild] in a database shares, the lease's
// included.
func Migrate(ctx context.Context, db sqldb.DB) error {
	if err := sqldb.MigrateLease(ctx, db); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, "rebuild", files)
}

// New returns the rebuild of a model that lives in db, which is the database at
// rawURL. It does nothing by itself: [Migrate] makes its table, [Rebuild.Run]
// works.
func New(db sqldb.DB, rawURL string, model Model, log *slog.Logger, options Options) *Rebuild {
	options.Poll = cmp.Or(options.Poll, 200*time.Millisecond)
	options.Patience = cmp.Or(options.Patience, 30*time.Second)
	options.LeaseTTL = cmp.Or(options.LeaseTTL, 5*time.Second)
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Rebuild{
		live: db, place: placeBeside(db, rawURL), model: model, log: log, options: options,
		lease: sqldb.NewLease(db, leaseName, fmt.Sprintf("%s/%d", host, os.Getpid()), options.LeaseTTL),
		wake:  make(chan struct{}, 1),
	}
}

// Run works on what is asked for until ctx ends (nil), or something it needs
// does not work (an error; call it again).
func (r *Rebuild) Run(ctx context.Context) error {
	err := r.lease.Run(ctx, func(leading context.Context, epoch int64) error { return r.lead(leading, ctx, epoch) })
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop
	}
	return err
}

// lead works for as long as ctx, which ends with the lease; process ends with
// this process.
func (r *Rebuild) lead(ctx, process context.Context, epoch int64) error {
	for {
		state, err := r.State(ctx)
		switch {
		case err != nil:
		case state.open():
			err = r.work(ctx, process, epoch)
		case state.Status == Removing, state.Status == Cancelling:
			err = r.removeAll(ctx, state.Status)
		}
		if err != nil {
			r.trouble(ctx, err)
			return err
		}
		if !pause(ctx, r.options.Poll, r.wake) {
			return ctx.Err()
		}
	}
}

// errIdle says that there is nothing to note anything about.
var errIdle = errors.New("no rebuild is under way")

// trouble shows why a rebuild that is under way does not go on at the moment.
func (r *Rebuild) trouble(ctx context.Context, reason error) {
	if ctx.Err() != nil {
		return
	}
	_, err := r.change(ctx, func(s *State) error {
		if !s.open() && s.Status != Removing && s.Status != Cancelling {
			return errIdle
		}
		s.Reason = reason.Error()
		return nil
	})
	if err != nil && !errors.Is(err, errIdle) && ctx.Err() == nil { // the database may be the trouble
		r.log.WarnContext(ctx, "what a rebuild waits for cannot be noted", "model", r.model.Name, "reason", reason, "error", err)
	}
}

// removeAll takes the new place away, and what fills it.
func (r *Rebuild) removeAll(ctx context.Context, status Status) error {
	beside, err := r.place.open(ctx)
	if err == nil {
		err = r.model.Feed(beside).Remove(ctx)
		beside.Close()
	}
	if err != nil {
		return fmt.Errorf("remove the rebuild of %s: %w", r.model.Name, err)
	}
	if err := r.place.remove(ctx); err != nil {
		return fmt.Errorf("remove the rebuild of %s: %w", r.model.Name, err)
	}
	_, err = r.change(ctx, func(s *State) error {
		if s.Status == status {
			s.Status, s.Reason = map[Status]Status{Removing: Swapped, Cancelling: Cancelled}[status], ""
		}
		return nil
	})
	return err
}

// filler is a feed while it runs.
type filler struct {
	Feed

	db      sqldb.DB
	stop    context.CancelFunc
	done    chan struct{}
	filling chan struct{} // closed when nothing can be missed any more
	// left tells what is still to be taken in of what was there when something was
	// asked for; nil before that.
	left func(context.Context) (string, error)
}

// fill opens the new place and fills it until stop.
func (r *Rebuild) fill(ctx context.Context) (*filler, error) {
	beside, err := r.place.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("place of the rebuild: %w", err)
	}
	if err := r.model.Migrate(ctx, beside); err != nil {
		beside.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &filler{Feed: r.model.Feed(beside), db: beside, stop: cancel, done: make(chan struct{}), filling: make(chan struct{})}
	go func() {
		defer close(f.done)
		told := false
		for ctx.Err() == nil {
			err := f.Run(ctx, func() {
				if !told {
					told = true
					close(f.filling)
				}
			})
			if ctx.Err() == nil {
				r.log.WarnContext(ctx, "filling a new model has trouble, trying again", "model", r.model.Name, "error", err)
				r.trouble(ctx, err)
				pause(ctx, time.Second, nil)
			}
		}
	}()
	return f, nil
}

// halt stops filling and waits for what is under way.
func (f *filler) halt() {
	f.stop()
	<-f.done
}

// lacks says what the new model is to get still.
func (f *filler) lacks(ctx context.Context, live sqldb.Querier, since int64) (lacks string, err error) {
	if f.left == nil {
		if f.left, err = f.Mark(ctx); err != nil {
			return "", err
		}
	}
	if lacks, err := f.left(ctx); err != nil || lacks != "" {
		return lacks, err
	}
	return f.Covers(ctx, live, since)
}

// work fills the new model and does what is asked for, until it is not wanted
// any more.
func (r *Rebuild) work(ctx, process context.Context, epoch int64) error {
	f, err := r.fill(ctx)
	if err != nil {
		return err
	}
	defer f.db.Close()
	defer f.halt()
	for prepared := false; ; {
		state, err := r.State(ctx)
		if err != nil || !state.open() {
			return err
		}
		select {
		case <-f.filling:
			if !prepared {
				prepared = true
				err = r.prepared(ctx)
			} else if state.Status == Filling && state.Asked != Nothing {
				over, failed := r.finish(ctx, process, epoch, f, state)
				if over || failed != nil {
					return failed
				}
			}
		default: // what keeps it from filling is told by who fills it
		}
		if err != nil {
			return err
		}
		if !pause(ctx, r.options.Poll, r.wake) {
			return ctx.Err()
		}
	}
}

// prepared notes that nothing is missed any more.
func (r *Rebuild) prepared(ctx context.Context) error {
	_, err := r.change(ctx, func(s *State) error {
		if s.Status == Preparing {
			s.Status = Filling
		}
		s.Reason = ""
		return nil
	})
	return err
}

// finish does what is asked for if the new model has everything. over says that
// filling has ended with it.
func (r *Rebuild) finish(ctx, process context.Context, epoch int64, f *filler, state State) (over bool, err error) {
	since := sqldb.Micros(state.BegunAt)
	lacks, err := f.lacks(ctx, r.live, since)
	if err != nil {
		return false, fmt.Errorf("see what the new model lacks: %w", err)
	}
	if lacks != "" {
		return false, r.conclude(ctx, state, func(s *State) { s.Reason = lacks })
	}
	c := comparison{model: r.model, feed: f, live: r.live, beside: f.db, since: since, patience: r.options.Patience}
	if err := c.compare(ctx); err != nil {
		return false, err
	}
	verdict := Same
	if len(c.found) > 0 {
		verdict = Differs
	}
	seen := func(s *State) { s.Reason, s.Compared, s.Differences = "", c.compared, c.found }
	if state.Asked == Check || state.Asked == Swap && verdict == Differs {
		f.left = nil
		return false, r.conclude(ctx, state, func(s *State) { seen(s); s.Status = verdict })
	}
	if lacks, err := f.lacks(ctx, r.live, since); err != nil || lacks != "" {
		return false, err // comparing took a while
	}
	err = r.swap(process, epoch, f, state, seen)
	if err != nil && (errors.Is(err, errNotYet) || sqldb.IsUnavailable(err)) {
		// The feed may have been halted for it: everything starts over.
		r.log.InfoContext(ctx, "the swap is tried again", "model", r.model.Name, "error", err)
		reason := "the swap is tried again: " + err.Error()
		return true, r.conclude(ctx, state, func(s *State) { s.Reason = reason })
	}
	if err != nil {
		return false, fmt.Errorf("swap %s: %w", r.model.Name, err)
	}
	r.log.InfoContext(ctx, "a new model is in its place", "model", r.model.Name, "rows", c.compared, "differences", len(c.found))
	if r.model.Swapped != nil {
		r.model.Swapped()
	}
	return true, nil
}

// conclude notes what was seen, unless something else has been asked for since.
func (r *Rebuild) conclude(ctx context.Context, seen State, note func(*State)) error {
	_, err := r.change(ctx, func(s *State) error {
		if s.Status == seen.Status && s.Asked == seen.Asked {
			note(s)
		}
		return nil
	})
	return err
}

// errNotYet says that the new model could not catch up while writers waited.
var errNotYet = errors.New("the new model did not catch up in time")

// swapPatience is how long everybody else is kept waiting for the new model to
// catch up before they are let go again. Mostly that takes milliseconds: it had
// caught up just before.
const swapPatience = time.Second

// swap puts the new model in the place of the live one. It does not end with the
// lease: its transaction keeps that from being renewed, and, once it is fenced,
// from being taken by anybody else.
func (r *Rebuild) swap(ctx context.Context, epoch int64, f *filler, state State, seen func(*State)) error {
	return r.live.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, leaseName, epoch); err != nil {
			return err
		}
		if err := r.place.keepOut(ctx, tx, r.model.names()); err != nil {
			return err
		}
		if err := r.caughtUp(ctx, tx, f, sqldb.Micros(state.BegunAt)); err != nil {
			return err
		}
		f.halt()
		if err := r.place.swap(ctx, tx, f.db, r.model.names()); err != nil {
			return err
		}
		now, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		if !now.open() || now.Asked != state.Asked {
			return fmt.Errorf("%w: something else was asked for", errNotYet)
		}
		seen(&now)
		now.Status = Removing
		return r.save(ctx, tx, &now)
	})
}

func (r *Rebuild) caughtUp(ctx context.Context, tx sqldb.Tx, f *filler, since int64) error {
	until := time.Now().Add(swapPatience)
	for {
		lacks, err := f.Covers(ctx, tx, since)
		if err != nil || lacks == "" {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%w: %s", errNotYet, lacks)
		}
		if !pause(ctx, 5*time.Millisecond, nil) {
			return ctx.Err()
		}
	}
}

func (r *Rebuild) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default: // it is set already
	}
}

// pause waits for d, or less when woken; it reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-woken:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
