package replay

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

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Source is the history of what a service has announced.
type Source interface {
	// End waits until everything that is committed now is announced, and returns
	// the position of the last of it.
	End(ctx context.Context) (int64, error)
	// Read hands what was announced behind position after, up to end, to handle,
	// in order and in pieces; position is where a piece ends, the last one at end.
	// A piece that was sent by half is sent again after a crash, so they are as
	// small as positions tell apart. It returns the first error of handle.
	Read(ctx context.Context, after, end int64, handle func(ctx context.Context, events []eventbus.Event, position int64) error) error
}

// Bus is what a replay needs of the event bus.
type Bus interface {
	eventbus.Sender
	// Depth counts the events waiting in a queue.
	Depth(ctx context.Context, queue string) (int, error)
}

// Options tune [Replays]. The zero value is right for a service.
type Options struct {
	// Window is the most events that are sent at once; the default is 2,000.
	Window int
	// Backlog is how many events may wait in the queue before a replay waits for
	// the consumer; the default is 20,000.
	Backlog int
	// LeaseTTL is how long replays stand still after the active process was
	// killed; the default is 5 s.
	LeaseTTL time.Duration
	// Poll is how often a replay looks whether it should stop, and a process
	// without one whether another has been begun elsewhere; the default is 500 ms.
	Poll time.Duration
}

func (o Options) withDefaults() Options {
	o.Window = cmp.Or(o.Window, 2000)
	o.Backlog = cmp.Or(o.Backlog, 20_000)
	o.LeaseTTL = cmp.Or(o.LeaseTTL, 5*time.Second)
	o.Poll = cmp.Or(o.Poll, 500*time.Millisecond)
	return o
}

// Replays are the replays of one service's history. Safe for concurrent use.
type Replays struct {
	db      sqldb.DB
	bus     Bus
	source  Source
	log     *slog.Logger
	options Options
	lease   *sqldb.Lease
	wake    chan struct{}
}

// leaseName elects the process that works; its epoch fences the checkpoints.
const leaseName = "replay"

// Migrate makes the tables that [Replays] need, their lease's included.
func Migrate(ctx context.Context, db sqldb.DB) error {
	if err := sqldb.MigrateLease(ctx, db); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, "replay", files)
}

// New returns the replays of a source; their state is kept in db. It does
// nothing by itself: [Migrate] makes the tables, [Replays.Run] works.
func New(db sqldb.DB, bus Bus, source Source, log *slog.Logger, options Options) *Replays {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	options = options.withDefaults()
	return &Replays{
		db: db, bus: bus, source: source, log: log, options: options,
		lease: sqldb.NewLease(db, leaseName, fmt.Sprintf("%s/%d", host, os.Getpid()), options.LeaseTTL),
		wake:  make(chan struct{}, 1),
	}
}

// Run works on replays until ctx ends (nil), or the database does not work (an
// error; call it again). Trouble with the source or the bus is shown as the
// reason of the replay that meets it, and tried again.
func (r *Replays) Run(ctx context.Context) error {
	err := r.lease.Run(ctx, r.lead)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop
	}
	return err
}

// mostPause is the longest pause between two attempts.
const mostPause = 5 * time.Second

// lead works on one replay after the other, the oldest first. One that cannot
// go on at the moment lets the others go before it.
func (r *Replays) lead(ctx context.Context, epoch int64) error {
	wait := r.options.Poll
	for {
		open, err := some(ctx, r.db, `WHERE status = 'running' ORDER BY created_at, id`)
		if err != nil {
			return fmt.Errorf("look for replays: %w", err)
		}
		troubled := false
		for _, job := range open {
			err := r.work(ctx, epoch, job)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err == nil, errors.Is(err, errStopped):
				continue
			case errors.Is(err, sqldb.ErrFenced):
				return err
			}
			r.log.WarnContext(ctx, "replay cannot go on", "to", job.To, "error", err)
			troubled = true
			if err := r.note(ctx, epoch, job.ID, err); err != nil {
				return err
			}
		}
		if troubled {
			wait = min(2*wait, mostPause)
		} else {
			wait = r.options.Poll
		}
		if !pause(ctx, wait, r.wake) {
			return ctx.Err()
		}
	}
}

// note keeps the reason why a replay cannot go on. Without its queue it never
// will.
func (r *Replays) note(ctx context.Context, epoch int64, id string, reason error) error {
	status := Running
	if errors.Is(reason, eventbus.ErrNoQueue) {
		status = Failed
	}
	err := r.fenced(ctx, epoch, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE replay SET status = $2, reason = $3, updated_at = $4 WHERE id = $1 AND status = 'running'`,
			id, string(status), sqldb.Text(reason.Error()), sqldb.Micros(time.Now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("note the state of replay %s: %w", id, err)
	}
	return nil
}

func (r *Replays) fenced(ctx context.Context, epoch int64, fn func(sqldb.Tx) error) error {
	return r.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, leaseName, epoch); err != nil {
			return err
		}
		return fn(tx)
	})
}

func (r *Replays) wakeUp() {
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
