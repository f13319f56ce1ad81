package forgetting

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/services/customer/internal/stored"
	"orderflow/services/customer/internal/vault"
)

const (
	name     = "forgetting"
	leaseTTL = 5 * time.Second
)

// Forgetting follows the log. Several processes may run it; one of them works.
type Forgetting struct {
	db    sqldb.DB
	store *es.Store
	bus   eventbus.Bus
	keys  *vault.Vault
	relay *relay.Relay
	lease *sqldb.Lease
}

// New returns what forgets the customers whose keys are in db. announcer is the
// relay that announces their events on bus.
func New(db sqldb.DB, store *es.Store, bus eventbus.Bus, keys *vault.Vault, announcer *relay.Relay) *Forgetting {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	lease := sqldb.NewLease(db, name, fmt.Sprintf("%s/%d", host, os.Getpid()), leaseTTL)
	return &Forgetting{db: db, store: store, bus: bus, keys: keys, relay: announcer, lease: lease}
}

// Run works until ctx ends (nil) or something it needs does not work (an error;
// call it again).
func (f *Forgetting) Run(ctx context.Context) error {
	err := f.lease.Run(ctx, func(ctx context.Context, epoch int64) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return f.follow(ctx, epoch) })
		group.Go(func() error { return f.sweep(ctx, epoch) })
		return group.Wait()
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop
	}
	return err
}

// follow destroys the key of every customer who the log says is forgotten.
func (f *Forgetting) follow(ctx context.Context, epoch int64) error {
	at, err := f.checkpoint(ctx)
	if err != nil {
		return err
	}
	return f.store.Follow(ctx, at, []string{"customer-"}, func(ctx context.Context, batch es.Batch) error {
		if len(batch.Events) == 0 {
			return nil
		}
		for _, recorded := range batch.Events {
			if recorded.Type != stored.Forgotten {
				continue
			}
			if err := f.keys.Destroy(ctx, recorded.AggregateID()); err != nil {
				return err
			}
		}
		return f.note(ctx, epoch, batch)
	})
}

// checkpoint is the position up to which the log has been searched.
func (f *Forgetting) checkpoint(ctx context.Context) (es.Position, error) {
	var at int64
	err := f.db.QueryRow(ctx, `SELECT position FROM forgetting_checkpoint WHERE name = $1`, name).Scan(&at)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return 0, fmt.Errorf("checkpoint of forgetting: %w", err)
	}
	return es.Position(at), nil //nolint:gosec // written below from a Position
}

// note moves the checkpoint over a batch, and leaves the copies to the sweep.
func (f *Forgetting) note(ctx context.Context, epoch int64, batch es.Batch) error {
	err := f.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, name, epoch); err != nil {
			return err
		}
		for _, recorded := range batch.Events {
			if recorded.Type == stored.Forgotten {
				tx.Queue(`INSERT INTO forgetting (customer_id, position, sweeps, due_at) VALUES ($1, $2, $3, 0)
					ON CONFLICT (customer_id) DO UPDATE SET sweeps = excluded.sweeps, due_at = 0`,
					recorded.AggregateID().String(), int64(recorded.Position), keyOnly) //nolint:gosec // below 2^63
			}
		}
		tx.Queue(`INSERT INTO forgetting_checkpoint (name, position) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, int64(batch.Position)) //nolint:gosec // below 2^63
		return nil
	})
	if err != nil {
		return fmt.Errorf("note who is forgotten up to %d: %w", batch.Position, err)
	}
	return nil
}

// forgotten is a customer of whom copies may still lie about.
type forgotten struct {
	id     uuid.UUID
	sweeps int // how often copies were looked for, or keyOnly
}

// keyOnly stands in the place of a number of sweeps while the bytes of the
// customer's key may still be in the files of the database. To make these
// unreadable nothing needs to be announced before.
const keyOnly = -1
