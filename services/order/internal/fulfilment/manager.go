package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/domain"
)

const (
	name     = "fulfilment"
	leaseTTL = 5 * time.Second
)

// Config is what a manager connects.
type Config struct {
	DB     sqldb.DB
	Store  *es.Store
	Orders *es.Repository[domain.Order, domain.Event]
	Settings
	// Waiting counts the events that were told to this service and not taken yet.
	// Deadlines rest while it fails, and while it is more than [MostWaiting].
	Waiting func(context.Context) (int, error)
	// Unheard reports whether something that was told of an order is held back or
	// left to a person. Its deadlines rest until that is settled.
	Unheard func(ctx context.Context, orderID string) (bool, error)
	Log     *slog.Logger
	// Now is the clock of deadlines; nil means time.Now.
	Now func() time.Time
}

// MostWaiting is a batch of deliveries: what waits in a queue that is not behind.
const MostWaiting = 200

// Manager runs the processes of all orders. Safe for concurrent use.
type Manager struct {
	config    Config
	rules     Rules
	processes *es.Repository[Process, Event]
	lease     *sqldb.Lease
	known     *known
	unwritten batch
}

// New returns a manager. It does nothing before Run.
func New(config Config) *Manager {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Manager{
		config: config, rules: NewRules(config.Settings), known: newKnown(),
		processes: es.NewRepository(config.Store, Category, Codec{}, Apply),
		lease:     sqldb.NewLease(config.DB, name, fmt.Sprintf("%s/%d", host, os.Getpid()), leaseTTL),
	}
}

// Run manages the processes while it is this instance's turn, until ctx ends
// (nil) or something it needs does not work (an error; call it again).
func (m *Manager) Run(ctx context.Context) error {
	err := m.lease.Run(ctx, m.lead)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop
	}
	return err
}

// lead is the work of the one active manager.
func (m *Manager) lead(ctx context.Context, epoch int64) error {
	at, err := m.checkpoint(ctx)
	if err != nil {
		return err
	}
	m.unwritten.mu.Lock()
	m.unwritten.empty() // it is read again
	m.unwritten.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return m.config.Store.Follow(ctx, at, []string{"order-", Category + "-"}, func(ctx context.Context, batch es.Batch) error {
			return m.take(ctx, epoch, batch)
		})
	})
	group.Go(func() error { return m.keepTime(ctx, epoch) })
	return group.Wait()
}

// checkpoint is the position up to which everything in the log is carried out.
func (m *Manager) checkpoint(ctx context.Context) (es.Position, error) {
	var at int64
	err := m.config.DB.QueryRow(ctx, `SELECT position FROM fulfilment_checkpoint WHERE name = $1`, name).Scan(&at)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return 0, fmt.Errorf("checkpoint of fulfilment: %w", err)
	}
	return es.Position(at), nil //nolint:gosec // written from a Position
}

// Load returns the process of an order and the revision of its last event. An
// order that was not heard of yet is [es.ErrNotFound].
func (m *Manager) Load(ctx context.Context, id uuid.UUID) (Process, es.Revision, error) {
	return m.processes.Load(ctx, id)
}
