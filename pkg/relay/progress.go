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

// phase is what a process does for its relay:
//
//	idle ──Run──▶ waiting ──its turn──▶ taking ──the checkpoint is read──▶ active
//	  ▲              ▲                    │                                  │
//	  │              └────the lease is lost──────────────────────────────────┤
//	  └───────────────────something does not work, or it is asked to stop────┘
type phase int

const (
	idle phase = iota
	waiting
	taking
	active
)

// progress is how far this process has come with announcing.
type progress struct {
	mu sync.Mutex
	standing
}

// standing outlives an attempt: a relay that fails again and again knows since
// when it has got no further, and why.
type standing struct {
	phase    phase
	epoch    int64     // of its last turn
	failure  error     // what ended an attempt, when nothing was done since
	standsBy time.Time // who waits for longer than this, waits for somebody who publishes

	logEnd   es.Position // when it was looked at
	lookErr  error       // why it could not be
	read     es.Position // what the subscription has brought
	done     es.Position // published, and written down where it matters
	furthest es.Position // done, in any attempt
	saved    es.Position // in the database
	savedAt  time.Time
	readAt   time.Time             // when it brought something, or read was the end of the log
	doneAt   time.Time             // when something was done, or done was the end of the log
	lookAt   time.Time             // when the end of the log was seen
	since    [stageCount]time.Time // when a stage began to wait; zero when it does not
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

// waits for its turn. The lease may be its own still, from before: only one that
// is not free for long is somebody else's.
func (p *progress) waits(ttl time.Duration) {
	p.change(func(s *standing) { s.phase, s.standsBy = waiting, time.Now().Add(2*ttl) })
}

// takes over. What this process failed at is forgotten when another has had its
// turn since, and had it for long.
func (p *progress) takes(epoch int64) {
	now := time.Now()
	p.change(func(s *standing) {
		if s.failure == nil || epoch > s.epoch+1 && now.After(s.standsBy) {
			s.failure, s.doneAt = nil, now
		}
		s.phase, s.epoch = taking, epoch
	})
}

// begins publishing where the last one has come to. If that is no further than
// where this process has failed, the failure stands.
func (p *progress) begin(at es.Position) {
	now := time.Now()
	p.change(func(s *standing) {
		if s.failure == nil || at > s.furthest {
			*s = standing{epoch: s.epoch, logEnd: at, furthest: at, doneAt: now, lookAt: now}
		}
		s.phase, s.since = active, [stageCount]time.Time{}
		s.read, s.done, s.saved = at, at, at
		s.savedAt, s.readAt = now, now
	})
}

// fails says why this process's turn is over.
func (p *progress) fails(why error) { p.change(func(s *standing) { s.failure = why }) }

// stops says that Run is over: why is nil when it was asked to stop.
func (p *progress) stops(why error) {
	p.change(func(s *standing) { s.phase, s.failure = idle, why })
}

// restart is where to follow from: the part of the log behind it is not done.
func (p *progress) restart() es.Position {
	p.change(func(s *standing) { s.read, s.readAt = s.done, time.Now() })
	return p.now().done
}

func (p *progress) hasRead(to es.Position) {
	now := time.Now()
	p.change(func(s *standing) {
		if s.behind() == 0 && s.failure == nil {
			s.doneAt = now // nothing was due before
		}
		s.read, s.readAt = to, now
		s.logEnd = max(s.logEnd, to)
	})
}

// hasDone counts as progress when it was not done before, or nothing is left.
func (p *progress) hasDone(to es.Position) {
	p.change(func(s *standing) {
		s.done = to
		if to > s.furthest || to >= s.logEnd {
			s.furthest, s.doneAt, s.failure = max(s.furthest, to), time.Now(), nil
		}
	})
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
		s.logEnd, s.lookAt = max(end, s.read), now
		if s.read >= end {
			s.readAt = now
		}
		if s.done >= end && s.failure == nil { // one that fails has to show that it works again
			s.doneAt = now
		}
	})
}

// quiet says that the subscription has owed something for so long.
func (s standing) quiet(d time.Duration) bool {
	return s.read < s.logEnd && s.done == s.read && time.Since(s.readAt) > d
}

// stalled is for how long there has been no progress, although some is due.
func (s standing) stalled(now time.Time) time.Duration {
	if s.failure != nil || s.phase == taking || s.phase == active && s.behind() > 0 {
		return now.Sub(s.doneAt)
	}
	return 0
}

// stuck says why there is no progress, or nil when there is, or none is due.
func (s standing) stuck(now time.Time) error {
	age := s.stalled(now).Round(time.Second)
	switch {
	case age > stuckAfter && s.failure != nil:
		return fmt.Errorf("no progress for %s since: %w", age, s.failure)
	case s.phase == idle && s.failure != nil:
		return fmt.Errorf("not running since: %w", s.failure)
	case s.phase == idle:
		return errors.New("not running")
	case age > stuckAfter:
		return fmt.Errorf("no progress for %s, %d positions behind the end of the log: %s", age, s.behind(), s.awaited())
	}
	if blind := now.Sub(s.lookAt); s.phase == active && s.lookErr != nil && blind > stuckAfter {
		return fmt.Errorf("the event store has not said for %s where its log ends: %w", blind.Round(time.Second), s.lookErr)
	}
	return nil
}

// awaited is what an attempt that gets no further waits for.
func (s standing) awaited() string {
	switch {
	case s.phase == taking, !s.since[noting].IsZero():
		return "the database does not answer"
	case !s.since[publishing].IsZero():
		return "the bus has not confirmed"
	case s.read > s.done:
		return "translating takes long"
	default:
		return "the subscription brings nothing"
	}
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
// does; otherwise why not: Run is not running, the database cannot be asked whose
// turn it is, or this process has got no further for 15 s although it is its
// turn, with what it waits for, or with what ended its last attempt.
func (r *Relay) Ready() error { return r.readyAt(time.Now()) }

func (r *Relay) readyAt(now time.Time) error {
	err := r.lease.Err()
	if err == nil {
		err = r.standing(now).stuck(now)
	}
	if err != nil {
		return fmt.Errorf("relay %s: %w", r.config.Name, err)
	}
	return nil
}

// standing leaves out what is no trouble of a process that stands by.
func (r *Relay) standing(now time.Time) standing {
	s := r.progress.now()
	if s.phase == waiting && now.After(s.standsBy) && r.lease.Err() == nil {
		s.failure = nil
	}
	return s
}

// Active reports whether this process is the one that publishes.
func (r *Relay) Active() bool { return r.progress.now().phase == active }

// Stalled is for how long this process has got no further although it is its
// turn: it is behind the log, or fails again and again. 0 while there is
// progress, none is due, or another process has taken over.
func (r *Relay) Stalled() time.Duration {
	now := time.Now()
	return r.standing(now).stalled(now)
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
	if s.phase != active {
		if s.done, err = r.checkpoint(ctx); err != nil {
			return 0, fmt.Errorf("relay %s: %w", r.config.Name, err)
		}
	}
	s.logEnd = end
	return int64(s.behind()), nil //nolint:gosec // below 2^63
}
