package outbox

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// leaseName elects the publisher; its epoch fences what the publisher writes.
const leaseName = "outbox"

// Outbox is the outbox of one service. Safe for concurrent use.
type Outbox struct {
	db      sqldb.DB
	bus     eventbus.Publisher
	log     *slog.Logger
	options Options
	dialect dialect
	lease   *sqldb.Lease
	wake    chan struct{} // somebody committed: to the publisher in this process
	added   chan struct{} // a commit in this process: to be passed on when it is not active

	mu       sync.Mutex
	running  bool
	problems [stages]error // why the last attempt of each stage did not work
	asked    time.Time     // since when the bus has been working on a window; zero when it is not

	sent, parked, failures, slotKept atomic.Int64
	streaming                        atomic.Bool
}

// Migrate makes the tables that an [Outbox] needs, its lease's included.
func Migrate(ctx context.Context, db sqldb.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if err := sqldb.MigrateLease(ctx, db); err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, "outbox", files)
}

// New returns the outbox that keeps its rows in db and publishes them to bus.
// It does nothing by itself: [Migrate] makes the tables, [Outbox.Run] publishes.
func New(db sqldb.DB, bus eventbus.Publisher, log *slog.Logger, options Options) *Outbox {
	options = options.withDefaults()
	o := &Outbox{
		db: db, bus: bus, log: log, options: options,
		dialect: sqlite{},
		lease:   sqldb.NewLease(db, leaseName, options.Holder, options.LeaseTTL),
		wake:    make(chan struct{}, 1),
		added:   make(chan struct{}, 1),
	}
	if db.Dialect() == sqldb.Postgres {
		o.dialect = postgres{}
	}
	return o
}

// slow is how long the bus may take before [Outbox.Ready] speaks of it.
const slow = 10 * time.Second

// Ready returns nil while events are being published from here, or while
// another process is active; otherwise why not. A replication slot for which
// the server keeps more than [Options.SlotWarn] is a reason.
func (o *Outbox) Ready() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.running {
		return errors.New("outbox: not running")
	}
	if err := o.lease.Err(); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if !o.lease.Holding() {
		return nil
	}
	if err := errors.Join(o.problems[:]...); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	if !o.asked.IsZero() && time.Since(o.asked) > slow {
		return fmt.Errorf("outbox: the bus has not confirmed for %s", time.Since(o.asked).Round(time.Second))
	}
	if kept := o.slotKept.Load(); kept > o.options.SlotWarn {
		return fmt.Errorf("outbox: the server keeps %d MiB of log for the replication slot", kept>>20)
	}
	return nil
}

// Stats counts since the start of the process.
type Stats struct {
	Sent     int64 // events that the bus has durably
	Parked   int64 // events that the bus refused
	Failures int64 // attempts that did not work
	// Streaming says that this process publishes, and that the server sends it
	// the rows as they commit ([Capture]); otherwise it polls, or stands by.
	Streaming bool
	// SlotKept is how many bytes of log the server keeps for the replication
	// slot, as the active publisher saw it last; 0 without a slot.
	SlotKept int64
}

// Stats returns the counters of this process.
func (o *Outbox) Stats() Stats {
	return Stats{
		Sent: o.sent.Load(), Parked: o.parked.Load(), Failures: o.failures.Load(),
		Streaming: o.streaming.Load(), SlotKept: o.slotKept.Load(),
	}
}

// Pending counts the events that wait to be published.
func (o *Outbox) Pending(ctx context.Context) (int, error) {
	var n int
	err := o.db.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE sent_at IS NULL AND parked_at IS NULL`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the outbox: %w", err)
	}
	return n, nil
}
