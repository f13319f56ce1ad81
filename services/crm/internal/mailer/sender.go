package mailer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/story"
)

// Options tune a [Sender]. The zero value is right for a service.
type Options struct {
	// MaxAttempts is how often a mail is tried before it is given up; the
	// default is 10.
	MaxAttempts int
	// BaseDelay is the delay after the first attempt that failed; it doubles
	// with each one, up to MaxDelay. The defaults are 5 s and 30 min.
	BaseDelay, MaxDelay time.Duration
	// Poll is how often the queue is looked at without being told; the default
	// is 1 s.
	Poll time.Duration
	// Lease is for how long nobody sends after the process that did was killed;
	// the default is 30 s.
	Lease time.Duration
}

func (o Options) withDefaults() Options {
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 10)
	o.BaseDelay = cmp.Or(o.BaseDelay, 5*time.Second)
	o.MaxDelay = cmp.Or(o.MaxDelay, 30*time.Minute)
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.Lease = cmp.Or(o.Lease, 2*timeout)
	return o
}

const (
	// lease is the name of the lease that keeps senders apart.
	lease = "mailer"
	// atOnce is how many mails are read from the queue at a time.
	atOnce = 50
)

// Stats count what a [Sender] did since it was made.
type Stats struct{ Sent, Failed int64 }

// Sender sends queued mails. Several may run on one database, in any number of
// processes: one is active.
type Sender struct {
	db      sqldb.DB
	store   *story.Store
	server  Server
	log     *slog.Logger
	options Options
	lease   *sqldb.Lease

	mu        sync.Mutex
	problem   error
	problemAt time.Time
	stats     Stats
}

// New returns a sender of the mails in store, whose rows are in db.
func New(db sqldb.DB, store *story.Store, server Server, log *slog.Logger, options Options) *Sender {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	options = options.withDefaults()
	return &Sender{
		db: db, store: store, server: server, log: log, options: options,
		lease: sqldb.NewLease(db, lease, fmt.Sprintf("%s/%d", host, os.Getpid()), options.Lease),
	}
}

// current is for how long a problem is believed in without a new attempt: by
// then another process has the lease, and may have a better way to the server.
const current = 45 * time.Second

// Ready returns nil, or why mails do not go out at the moment.
func (s *Sender) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem != nil && time.Since(s.problemAt) < current {
		return s.problem
	}
	return s.lease.Err()
}

// Stats returns what was done so far.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run sends until ctx ends (nil), or until the mail server or the database does
// not work (an error; call it again after a pause).
func (s *Sender) Run(ctx context.Context) error {
	err := s.lease.Run(ctx, func(ctx context.Context, epoch int64) error {
		poll := time.NewTicker(s.options.Poll)
		defer poll.Stop()
		for {
			n, err := s.round(ctx, epoch)
			if err != nil {
				return err
			}
			if n == atOnce {
				continue // there may be more
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-poll.C:
			case <-s.store.Wake():
			}
		}
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop
	}
	s.note(err)
	return err
}

func (s *Sender) note(problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problem, s.problemAt = problem, time.Now()
}

// round tries every mail that is due once, in as few conversations as possible,
// and returns how many were due. After a failure the next mail gets a new one:
// nobody can tell what the server still waits for in the old.
func (s *Sender) round(ctx context.Context, epoch int64) (int, error) {
	due, err := s.store.Due(ctx, time.Now(), atOnce)
	if err != nil {
		return 0, err
	}
	var talk *session
	defer func() { talk.end() }()
	for _, d := range due {
		m, err := message(s.server.from, d, time.Now())
		if err != nil {
			if err := s.settle(ctx, epoch, d, refused, err); err != nil {
				return 0, err
			}
			continue
		}
		var result verdict
		for {
			if talk == nil {
				if talk, err = begin(ctx, s.server); err != nil {
					return 0, err
				}
				s.note(nil)
			}
			if result, err = talk.send(m); result == accepted {
				break
			}
			spent := talk.taken > 0 // servers take so many in one conversation, and no more
			talk.end()
			talk = nil
			if result != outage {
				break
			}
			if !spent {
				return 0, fmt.Errorf("mail server %s: %s", s.server.address(), reasonOf(err, d.To))
			}
		}
		if err := s.settle(ctx, epoch, d, result, err); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}

// settle notes what became of a mail, unless somebody else sends by now.
func (s *Sender) settle(ctx context.Context, epoch int64, d story.Due, result verdict, why error) error {
	// What was cut off because we are to stop, or were overtaken, was not tried.
	if result != accepted && ctx.Err() != nil {
		return ctx.Err()
	}
	attempt := d.Attempts + 1
	outcome := story.Outcome{Sent: result == accepted}
	if why != nil {
		outcome.Reason = reasonOf(why, d.To)
		outcome.GiveUp = result == refused || attempt >= s.options.MaxAttempts
		outcome.Again = time.Now().Add(s.delay(attempt))
	}
	// A mail that was taken is noted even when we are to stop: else it would be
	// sent once more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	err := s.store.Settle(ctx, d, outcome, func(ctx context.Context, tx sqldb.Tx) error {
		return sqldb.Fence(ctx, tx, lease, epoch)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case outcome.Sent:
		s.stats.Sent++
	case outcome.GiveUp:
		s.stats.Failed++
		s.log.Warn("mail given up", "mail", d.MailID, "kind", d.Kind, "order", d.Facts.OrderID, "attempts", attempt, "reason", outcome.Reason)
	default:
		s.log.Info("mail not sent yet", "mail", d.MailID, "attempt", attempt, "reason", outcome.Reason, "again_at", outcome.Again)
	}
	return nil
}

// delay is the pause after the attempt of that number, from 1.
func (s *Sender) delay(attempt int) time.Duration {
	delay := s.options.BaseDelay
	for range attempt - 1 {
		if delay *= 2; delay >= s.options.MaxDelay {
			return s.options.MaxDelay
		}
	}
	return delay
}
