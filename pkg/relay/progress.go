package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"orderflow/pkg/es"
)

const (
	// lookEvery is how often the active relay compares itself with the log.
	lookEvery = 2 * time.Second
	// lookPatience is how long the event store may take to say where its log ends.
	lookPatience = 5 * time.Second
	// quietFor is how long a subscription may bring nothing although the log goes
	// on, before it is made anew.
	quietFor = 10 * time.Second
	// stuckAfter is how long the relay may be behind without getting any further
	// before [Relay.Ready] says so.
	stuckAfter = 15 * time.Second
)

// patience is for how long a subscription is trusted.
type patience struct{ look, quiet time.Duration }

// errQuiet ends a pipeline whose subscription brings nothing although the log
// goes on. The events there may all be of other streams, and then nothing is
// wrong; or the subscription is dead, which looks the same from here. Making it
// anew is cheap and settles both.
var errQuiet = errors.New("the subscription brings nothing although the log goes on")

// stage is a part of the pipeline that waits for somebody else.
type stage int

const (
	publishing stage = iota
	noting
	stageCount
)

// progress is how far the active relay has come.
type progress struct {
	mu sync.Mutex
	standing
}

type standing struct {
	active  bool
	logEnd  es.Position // when it was looked at
	lookErr error       // why it could not be
	read    es.Position // what the subscription has brought
	done    es.Position // published, and written down where it matters
	saved   es.Position // in the database
	savedAt time.Time
	readAt  time.Time             // when it brought something, or read was the end of the log
	doneAt  time.Time             // when something was done, or done was the end of the log
	lookAt  time.Time             // when the end of the log was seen
	since   [stageCount]time.Time // when a stage began to wait; zero when it does not
}

func (p *progress) change(how func(*standing)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how(&p.standing)
}

func (p *progress) now() standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing
}

func (p *progress) begin(at es.Position) {
	now := time.Now()
	p.change(func(s *standing) {
		*s = standing{
			active: true, logEnd: at, read: at, done: at, saved: at, savedAt: now, readAt: now, doneAt: now, lookAt: now,
		}
	})
}

func (p *progress) end() { p.change(func(s *standing) { s.active = false }) }

// restart is where to follow from: the part of the log behind it is not done.
func (p *progress) restart() es.Position {
	p.change(func(s *standing) { s.read, s.readAt = s.done, time.Now() })
	return p.now().done
}

func (p *progress) hasRead(to es.Position) {
	p.change(func(s *standing) { s.read, s.readAt = to, time.Now() })
}

func (p *progress) hasDone(to es.Position) {
	p.change(func(s *standing) { s.done, s.doneAt = to, time.Now() })
}

func (p *progress) hasSaved(to es.Position) {
	p.change(func(s *standing) { s.saved, s.savedAt = to, time.Now() })
}

func (p *progress) begins(at stage) { p.change(func(s *standing) { s.since[at] = time.Now() }) }
func (p *progress) ends(at stage)   { p.change(func(s *standing) { s.since[at] = time.Time{} }) }

// due says that a position is worth writing down although nothing was published.
func (p *progress) due(to es.Position, caughtUp bool) bool {
	s := p.now()
	return to > s.saved && (caughtUp || time.Since(s.savedAt) > checkpointEvery)
}

// looked takes in where the log ends.
func (p *progress) looked(end es.Position, err error) {
	now := time.Now()
	p.change(func(s *standing) {
		if s.lookErr = err; err != nil {
			return
		}
		s.logEnd, s.lookAt = end, now
		if s.read >= end {
			s.readAt = now
		}
		if s.done >= end {
			s.doneAt = now
		}
	})
}

// quiet says that the subscription has owed something for so long.
func (s standing) quiet(d time.Duration) bool {
	return s.read < s.logEnd && s.done == s.read && time.Since(s.readAt) > d
}

// stuck says why there is no progress, or nil when there is, or none is due.
func (s standing) stuck(now time.Time) error {
	if !s.active {
		return nil
	}
	if age := now.Sub(s.lookAt); age > stuckAfter && s.lookErr != nil {
		return fmt.Errorf("the event store has not said for %s where its log ends: %w", age.Round(time.Second), s.lookErr)
	}
	behind, age := s.behind(), now.Sub(s.doneAt)
	if behind == 0 || age <= stuckAfter {
		return nil
	}
	what := "the subscription brings nothing"
	switch {
	case !s.since[noting].IsZero():
		what = "the database does not answer"
	case !s.since[publishing].IsZero():
		what = "the bus has not confirmed"
	case s.read > s.done:
		what = "translating takes long"
	}
	return fmt.Errorf("no progress for %s, %d positions behind the end of the log: %s", age.Round(time.Second), behind, what)
}

// behind counts positions up to the end of the log.
func (s standing) behind() uint64 {
	if s.done >= s.logEnd {
		return 0
	}
	return uint64(s.logEnd - s.done)
}

// watch compares the relay with the log until ctx ends, or the subscription has
// to be made anew.
func (r *Relay) watch(ctx context.Context) error {
	ticker := time.NewTicker(r.patience.look)
	defer ticker.Stop()
	for {
		looking, cancel := context.WithTimeout(ctx, lookPatience)
		end, err := r.config.Store.End(looking)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.progress.looked(end, err)
		if r.progress.now().quiet(r.patience.quiet) {
			return errQuiet
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ready returns nil while this process publishes or stands by for one that
// does; otherwise why not: the database cannot be asked whose turn it is, or
// this process is the active one and has been behind the log for 15 s without
// getting any further, with what it waits for.
func (r *Relay) Ready() error {
	err := r.lease.Err()
	if err == nil {
		err = r.progress.now().stuck(time.Now())
	}
	if err != nil {
		return fmt.Errorf("relay %s: %w", r.config.Name, err)
	}
	return nil
}

// Active reports whether this process is the one that publishes.
func (r *Relay) Active() bool { return r.progress.now().active }

// Stalled is for how long this process, being the active one, has been behind
// the log without getting any further; 0 while there is progress, or none is due.
func (r *Relay) Stalled() time.Duration {
	s := r.progress.now()
	if !s.active || s.behind() == 0 {
		return 0
	}
	return time.Since(s.doneAt)
}

// Lag counts the positions between what has been announced and the end of the
// log, whichever process announces. A position is about a byte of the log, of all
// streams. 0 means that nothing waits; what else it is says whether the lag
// grows or shrinks.
func (r *Relay) Lag(ctx context.Context) (int64, error) {
	end, err := r.config.Store.End(ctx)
	if err != nil {
		return 0, fmt.Errorf("relay %s: %w", r.config.Name, err)
	}
	s := r.progress.now()
	if !s.active {
		if s.done, err = r.checkpoint(ctx); err != nil {
			return 0, err
		}
	}
	s.logEnd = end
	return int64(s.behind()), nil //nolint:gosec // below 2^63
}
