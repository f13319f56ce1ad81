package outbox

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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

// Options tune an [Outbox]. The zero value is right for a service.
type Options struct {
	// Holder says in the table of leases which process publishes; the default is
	// the name of the host and the number of the process.
	Holder string
	// Window is the most rows published at once; the default is 500, the limit 10,000.
	Window int
	// Poll is how often the table is looked at without being woken; the default
	// is 200 ms.
	Poll time.Duration
	// MaxPause is the longest pause between attempts while the bus does not
	// work; the default is 30 s.
	MaxPause time.Duration
	// PublishTimeout bounds one attempt to publish a window; the default is 30 s.
	PublishTimeout time.Duration
	// LeaseTTL is how long publishing stands still after the active process was
	// killed; the default is 5 s.
	LeaseTTL time.Duration
	// Retention is how long rows that were sent stay for tracing; the default
	// is 7 days.
	Retention time.Duration
}

func (o Options) withDefaults() Options {
	host, _ := os.Hostname() // a nameless host is shown without
	o.Holder = cmp.Or(o.Holder, fmt.Sprintf("%s/%d", host, os.Getpid()))
	o.Window = min(cmp.Or(o.Window, 500), 10_000)
	o.Poll = cmp.Or(o.Poll, 200*time.Millisecond)
	o.MaxPause = cmp.Or(o.MaxPause, 30*time.Second)
	o.PublishTimeout = cmp.Or(o.PublishTimeout, 30*time.Second)
	o.LeaseTTL = cmp.Or(o.LeaseTTL, 5*time.Second)
	o.Retention = cmp.Or(o.Retention, 7*24*time.Hour)
	return o
}

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

	mu      sync.Mutex
	running bool
	problem error     // why the last attempt did not work
	asked   time.Time // since when the bus has been working on a window; zero when it is not

	sent, parked, failures atomic.Int64
}

// dialect is what differs between the databases.
type dialect interface {
	// listen calls wake whenever another process committed rows, until ctx ends.
	listen(ctx context.Context, db sqldb.DB, log *slog.Logger, wake func())
	// notify wakes the listener in another process.
	notify(ctx context.Context, db sqldb.DB) error
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
// another process is active; otherwise why not.
func (o *Outbox) Ready() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !o.running:
		return errors.New("outbox: not running")
	case o.lease.Err() != nil:
		return fmt.Errorf("outbox: %w", o.lease.Err())
	case !o.lease.Holding():
		return nil
	case o.problem != nil:
		return fmt.Errorf("outbox: %w", o.problem)
	case !o.asked.IsZero() && time.Since(o.asked) > slow:
		return fmt.Errorf("outbox: the bus has not confirmed for %s", time.Since(o.asked).Round(time.Second))
	}
	return nil
}

// Stats counts since the start of the process.
type Stats struct {
	Sent     int64 // events that the bus has durably
	Parked   int64 // events that the bus refused
	Failures int64 // attempts that did not work
}

// Stats returns the counters of this process.
func (o *Outbox) Stats() Stats {
	return Stats{Sent: o.sent.Load(), Parked: o.parked.Load(), Failures: o.failures.Load()}
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
