package relay

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

const (
	// DefaultLeaseTTL leaves a second of the five within which another process
	// takes over for noticing, reading the checkpoint and following.
	DefaultLeaseTTL = 4 * time.Second
	// DefaultWindow makes the confirm that each window waits for at its end a
	// small part of its time.
	DefaultWindow = 2000
	// checkpointEvery bounds how often progress over events that are none of
	// ours is written down, but for the end of the log, when it is reached.
	checkpointEvery = 5 * time.Second
)

// Translate turns a committed domain event into the integration events that
// announce it: none, one or several. It must be pure, so that the same event
// gives the same integration events with the same ids whenever it is read. Its
// error parks the event.
type Translate func(ctx context.Context, r es.Recorded) ([]eventbus.Event, error)

// Config is what a relay connects.
type Config struct {
	// Name is the service's; it names the lease and the checkpoint.
	Name string
	// Store is followed, the streams whose names start with one of Prefixes.
	Store    *es.Store
	Prefixes []string
	// DB keeps the checkpoint.
	DB  sqldb.DB
	Bus eventbus.Publisher
	// Translate is the service's own.
	Translate Translate
	// Temporary recognises errors of Translate that mean "what I need does not
	// work at the moment": they stop the relay for a while and park nothing.
	Temporary func(error) bool
	// Window is about how many integration events are published at once;
	// 0 means [DefaultWindow]. A window is what is there, never waited for: it
	// fills only when there is a backlog.
	Window int
	// LeaseTTL is how long publishing stands still after the active process was
	// killed; 0 means [DefaultLeaseTTL]. A process that is not given the
	// processor, or its database, for that long loses its turn.
	LeaseTTL time.Duration
	// Log is told what is parked; nil discards it.
	Log *slog.Logger
}

// Relay publishes one service's committed events. Safe for concurrent use.
type Relay struct {
	config   Config
	lease    *sqldb.Lease
	dialect  dialect
	progress progress
	patience patience

	sent, parkedHere atomic.Int64
}

// dialect is what differs between the databases.
type dialect interface {
	// note writes down what was published.
	note(ctx context.Context, tx sqldb.Tx, name string, now int64, events []eventbus.Event) error
	// forget removes publications from before a time, at most some thousands,
	// and reports how many.
	forget(ctx context.Context, tx sqldb.Tx, before int64) (int64, error)
}

// Migrate creates and updates the tables of relays.
func Migrate(ctx context.Context, db sqldb.DB) error {
	if err := sqldb.MigrateLease(ctx, db); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, "relay", files)
}

// New returns a relay. It does nothing before Run.
func New(config Config) *Relay {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	holder := fmt.Sprintf("%s/%d", host, os.Getpid())
	config.Window = cmp.Or(config.Window, DefaultWindow)
	config.LeaseTTL = cmp.Or(config.LeaseTTL, DefaultLeaseTTL)
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{
		config: config, dialect: sqlite{}, patience: patience{look: lookEvery, quiet: quietFor},
		lease: sqldb.NewLease(config.DB, leaseName(config.Name), holder, config.LeaseTTL),
	}
	if config.DB.Dialect() == sqldb.Postgres {
		r.dialect = postgres{}
	}
	return r
}

// leaseName is the lease that elects the active relay of a service.
func leaseName(name string) string { return "relay-" + name }

// Run waits for its turn, then publishes until ctx ends (nil), or something it
// needs does not work (an error; call it again). One call at a time.
func (r *Relay) Run(ctx context.Context) error {
	r.progress.waits(r.config.LeaseTTL)
	err := r.lease.Run(ctx, r.lead)
	if ctx.Err() != nil {
		r.progress.stops(nil)
		return nil //nolint:nilerr // asked to stop
	}
	r.progress.stops(err)
	return fmt.Errorf("relay %s: %w", r.config.Name, err)
}

// lead publishes for as long as this process is the active one.
func (r *Relay) lead(ctx context.Context, epoch int64) error {
	r.progress.takes(epoch)
	err := r.announce(ctx, epoch)
	if ctx.Err() != nil {
		err = context.Cause(ctx) // asked to stop, or the lease is lost
	}
	r.progress.fails(err)
	r.progress.waits(r.config.LeaseTTL) // until Run ends
	return err
}

// announce publishes from the checkpoint on, until ctx ends or something fails.
func (r *Relay) announce(ctx context.Context, epoch int64) error {
	at, err := r.checkpoint(ctx)
	if err != nil {
		return err
	}
	r.progress.begin(at)
	for {
		err := r.follow(ctx, epoch)
		if !errors.Is(err, errQuiet) || ctx.Err() != nil {
			return err
		}
	}
}

// Stats counts since the start of the process.
type Stats struct {
	Published int64 // integration events confirmed by the bus
	Parked    int64 // domain events that could not be announced
}

// Stats returns the counters of this process.
func (r *Relay) Stats() Stats { return Stats{Published: r.sent.Load(), Parked: r.parkedHere.Load()} }
