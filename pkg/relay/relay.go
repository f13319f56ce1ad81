package relay

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

const (
	// leaseTTL is how long publishing stands still after the active process was
	// killed.
	leaseTTL = 5 * time.Second
	// retention is how long publications stay for tracing.
	retention = 7 * 24 * time.Hour
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
	Log       *slog.Logger
}

// Relay publishes one service's committed events. Safe for concurrent use.
type Relay struct {
	config Config
	lease  *sqldb.Lease

	mu         sync.Mutex
	savedAt    time.Time
	prunedAt   time.Time
	sent       int64
	parkedHere int64
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
	return &Relay{config: config, lease: sqldb.NewLease(config.DB, "relay-"+config.Name, holder, leaseTTL)}
}

// Run waits for its turn, then publishes until ctx ends (nil), or something it
// needs does not work (an error; call it again).
func (r *Relay) Run(ctx context.Context) error {
	err := r.lease.Run(ctx, func(ctx context.Context, epoch int64) error {
		at, err := r.checkpoint(ctx)
		if err != nil {
			return err
		}
		return r.config.Store.Follow(ctx, at, r.config.Prefixes, func(ctx context.Context, batch es.Batch) error {
			return r.publish(ctx, epoch, batch)
		})
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop
	}
	return err
}

func (r *Relay) count(sent, parked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.savedAt = time.Now()
	r.sent += int64(sent)
	r.parkedHere += int64(parked)
}

// due says that the checkpoint is worth writing although nothing was published.
func (r *Relay) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.savedAt) > checkpointEvery
}

// Ready returns nil while this process publishes or stands by for one that
// does, as far as the database could be asked; otherwise why not. It does not
// look at the event store and the bus, which have a say of their own.
func (r *Relay) Ready() error { return r.lease.Err() }

// Stats counts since the start of the process.
type Stats struct {
	Published int64 // integration events confirmed by the bus
	Parked    int64 // domain events that could not be announced
}

// Stats returns the counters of this process.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{Published: r.sent, Parked: r.parkedHere}
}
