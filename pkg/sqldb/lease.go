package sqldb

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

//go:embed migrations
var migrations embed.FS

// ErrFenced says that somebody else holds the lease by now: whoever gets it was
// paused for too long and must not write.
var ErrFenced = errors.New("fenced: the lease has another holder")

// errLost cancels the work of a holder that could not renew in time.
var errLost = errors.New("lease lost")

// MigrateLease makes the table that every [Lease] in the database shares.
func MigrateLease(ctx context.Context, db DB) error {
	files, err := fs.Sub(migrations, "migrations/lease")
	if err != nil {
		return err
	}
	return Migrate(ctx, db, "lease", files)
}

// Lease elects one active holder among any number of processes.
//
// A lease alone cannot keep a process that was paused (a stopped virtual
// machine, a full disk) from going on writing when it wakes up. So each time
// the lease changes hands its epoch grows, and the holder calls [Fence] in the
// transactions that count.
//
// PostgreSQL measures the time to live by the clock of the server, SQLite by the
// clock of the one machine its file is on; clocks of processes never meet.
type Lease struct {
	db           DB
	name, holder string
	ttl          time.Duration

	mu      sync.Mutex
	holding bool
	err     error
}

// NewLease describes the lease called name. holder says who asks for it, for
// people who look at the table; it need not be unique. ttl is how long the
// work stands still after the holder is killed; 10 seconds is a good start.
func NewLease(db DB, name, holder string, ttl time.Duration) *Lease {
	return &Lease{db: db, name: name, holder: holder, ttl: ttl}
}

// Run waits until it gets the lease and calls fn with its epoch. The context of
// fn ends when ctx does and when the lease is lost, which is when it could not
// be renewed for its time to live. Then Run waits for fn to return and for the
// lease again. While waiting, an error of the database is shown by [Lease.Err]
// and tried again.
//
// When fn returns by itself, or ctx ends, the lease is released, so that
// another process takes over at once, and Run returns what fn did; a context
// that ended is no error.
func (l *Lease) Run(ctx context.Context, fn func(ctx context.Context, epoch int64) error) error {
	for {
		epoch, until, ok := l.acquire(ctx)
		if !ok {
			return nil
		}
		lost, err := l.hold(ctx, epoch, until, fn)
		switch {
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return nil
		case lost && ctx.Err() == nil:
			continue
		default:
			return err
		}
	}
}

// Holding reports whether this process is the active one at the moment.
func (l *Lease) Holding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holding
}

// Err returns nil while the lease is held here or, as far as the database
// could be asked, elsewhere; otherwise why it cannot be asked.
func (l *Lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *Lease) note(holding bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding, l.err = holding, err
}

// acquire waits for the lease. until is when it ends if it is not renewed,
// counted from before the question was asked and so on the safe side.
func (l *Lease) acquire(ctx context.Context) (epoch int64, until time.Time, ok bool) {
	for {
		asked := time.Now()
		epoch, left, err := l.try(ctx)
		if ctx.Err() != nil {
			if epoch > 0 { // taken while being told to stop: the next one must not wait for it
				l.release(ctx, epoch)
			}
			return 0, time.Time{}, false
		}
		if err == nil && epoch > 0 {
			l.note(true, nil)
			return epoch, asked.Add(l.ttl), true
		}
		l.note(false, err)
		if sleep(ctx, l.pause(left)) != nil {
			return 0, time.Time{}, false
		}
	}
}

// pause is how long one who stands by waits before it asks again: until the
// lease ends if it is not renewed, so that nothing is added to its time to live,
// but not for long, as it may be released before.
func (l *Lease) pause(left time.Duration) time.Duration {
	poll := min(max(l.ttl/10, 10*time.Millisecond), 500*time.Millisecond)
	if left <= 0 { // it could not be asked, or somebody else was faster
		return poll
	}
	return min(poll, left+time.Millisecond)
}

// try returns 0 when somebody else has the lease, and for how long it has that
// if it does not renew it.
func (l *Lease) try(ctx context.Context) (epoch int64, left time.Duration, err error) {
	now := clock(l.db.Dialect())
	ctx, cancel := context.WithTimeout(ctx, max(l.ttl, time.Second))
	defer cancel()
	// A commit that is cut short may have happened all the same, and then the
	// lease would be held by nobody: taking it is carried through.
	taking, stop := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer stop()
	var micros int64
	// Standing by only reads, so that it takes no lock from those who work.
	err = l.db.QueryRow(ctx, `SELECT expires_at - `+now+` FROM lease WHERE name = $1`, l.name).Scan(&micros)
	if err == nil && micros > 0 {
		return 0, time.Duration(micros) * time.Microsecond, nil
	}
	if err != nil && !errors.Is(err, ErrNoRows) {
		return 0, 0, fmt.Errorf("lease %s: %w", l.name, err)
	}
	err = l.db.Update(taking, func(tx Tx) error {
		return tx.QueryRow(taking, `INSERT INTO lease (name, holder, epoch, expires_at) VALUES ($1, $2, 1, `+now+` + $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = lease.epoch + 1, expires_at = excluded.expires_at
			WHERE lease.expires_at <= `+now+`
			RETURNING epoch`, l.name, l.holder, l.ttl.Microseconds()).Scan(&epoch)
	})
	if errors.Is(err, ErrNoRows) {
		return 0, 0, nil // somebody was faster
	}
	if err != nil {
		return 0, 0, fmt.Errorf("lease %s: %w", l.name, err)
	}
	return epoch, 0, nil
}

// hold runs fn while it keeps the lease alive on the side. lost tells that the
// lease is gone, and with it the reason for fn to have stopped.
func (l *Lease) hold(ctx context.Context, epoch int64, until time.Time, fn func(context.Context, int64) error) (lost bool, err error) {
	held, cancel := context.WithCancelCause(ctx)
	renewer := make(chan struct{})
	go func() {
		defer close(renewer)
		l.renew(held, cancel, epoch, until)
	}()
	defer func() { // also when fn panics
		cancel(nil)
		<-renewer
		lost = errors.Is(context.Cause(held), errLost)
		l.note(false, l.Err())
		if !lost {
			l.release(ctx, epoch)
		}
	}()
	return false, fn(held, epoch)
}

func (l *Lease) renew(ctx context.Context, cancel context.CancelCauseFunc, epoch int64, until time.Time) {
	pause := l.ttl / 3
	for {
		wait := min(pause, time.Until(until))
		if sleep(ctx, wait) != nil {
			return
		}
		asked := time.Now()
		if !asked.Before(until) {
			l.note(false, fmt.Errorf("lease %s: not renewed for %s", l.name, l.ttl))
			cancel(errLost)
			return
		}
		kept, err := l.extend(ctx, epoch, until)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // there is time for more than one try
			l.note(true, err)
			pause = l.ttl / 20
		case !kept:
			l.note(false, nil)
			cancel(errLost)
			return
		default:
			l.note(true, nil)
			until, pause = asked.Add(l.ttl), l.ttl/3
		}
	}
}

func (l *Lease) extend(ctx context.Context, epoch int64, until time.Time) (kept bool, err error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	err = l.db.Update(ctx, func(tx Tx) error {
		n, err := tx.Exec(ctx, `UPDATE lease SET expires_at = `+clock(l.db.Dialect())+` + $1 WHERE name = $2 AND epoch = $3`+letGo(tx),
			l.ttl.Microseconds(), l.name, epoch)
		kept = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("renew lease %s: %w", l.name, err)
	}
	return kept, nil
}

// release lets the next one in at once. When it does not work, the next one
// waits for the end of the time to live.
func (l *Lease) release(ctx context.Context, epoch int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(l.ttl, pingTimeout))
	defer cancel()
	_ = l.db.Update(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `UPDATE lease SET expires_at = 0 WHERE name = $1 AND epoch = $2`, l.name, epoch)
		return err
	})
}

// Fence makes sure that the transaction commits only while the lease called
// name is at epoch: it returns [ErrFenced] when the lease has moved on, and
// otherwise keeps it from moving until the transaction ends. The time to live
// plays no part: a holder that is late but alone does no harm. On PostgreSQL the
// server ends the transaction when it hears nothing of it for 5 s.
func Fence(ctx context.Context, tx Tx, name string, epoch int64) error {
	n, err := tx.Exec(ctx, `UPDATE lease SET epoch = epoch WHERE name = $1 AND epoch = $2`+letGo(tx), name, epoch)
	if err != nil {
		return fmt.Errorf("fence %s: %w", name, err)
	}
	if n == 0 {
		return fmt.Errorf("%s at epoch %d: %w", name, epoch, ErrFenced)
	}
	return nil
}

// letGo ends a statement that locks the lease so that a process which is paused,
// or cut off, inside the transaction does not keep the lock for as long: nobody
// could take the lease over.
func letGo(tx Tx) string {
	if _, ok := tx.(*postgresTx); ok {
		return ` RETURNING set_config('idle_in_transaction_session_timeout', '5s', true)`
	}
	return ""
}

// clock is the expression for "now" in microseconds.
func clock(d Dialect) string {
	if d == Postgres {
		return `CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`
	}
	return `CAST(unixepoch('subsec') * 1000000 AS INTEGER)`
}
