package listing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/position"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

const (
	name     = "order-list"
	leaseTTL = 5 * time.Second
)

// Listing writes and reads the list. Safe for concurrent use.
type Listing struct {
	db    sqldb.DB
	store *es.Store
	lease *sqldb.Lease
	log   *slog.Logger

	waiting      *position.Waiting
	completeness completeness
}

// New returns the list in db, of the orders in store. What cannot be listed is
// told to log.
func New(db sqldb.DB, store *es.Store, log *slog.Logger) *Listing {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	holder := fmt.Sprintf("%s/%d", host, os.Getpid())
	l := &Listing{db: db, store: store, lease: sqldb.NewLease(db, name, holder, leaseTTL), log: log}
	l.waiting = position.NewWaiting(l.states)
	return l
}

// prefixes are those of the streams that the list is about.
func prefixes() []string { return []string{"order-"} }

// Run keeps the list up to date until ctx ends (nil) or something it needs does
// not work (an error; call it again).
func (l *Listing) Run(ctx context.Context) error {
	err := l.lease.Run(ctx, func(ctx context.Context, epoch int64) error {
		at, err := checkpoint(ctx, l.db)
		if err != nil {
			return err
		}
		return l.store.Follow(ctx, at, prefixes(), func(ctx context.Context, batch es.Batch) error {
			if len(batch.Events) > 0 {
				if err := l.write(ctx, epoch, batch); err != nil {
					return err
				}
			}
			l.completeness.read(batch.Position)
			return nil
		})
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // asked to stop
	}
	return err
}

// checkpoint is the position up to which the log is in a list.
func checkpoint(ctx context.Context, q sqldb.Querier) (es.Position, error) {
	var at int64
	err := q.QueryRow(ctx, `SELECT position FROM order_list_checkpoint WHERE name = $1`, name).Scan(&at)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return 0, fmt.Errorf("checkpoint of the list of orders: %w", err)
	}
	return es.Position(at), nil //nolint:gosec // written below from a Position
}

// write takes a batch into the list, and the checkpoint over it.
func (l *Listing) write(ctx context.Context, epoch int64, batch es.Batch) error {
	var changed map[string]row
	var gaps []error
	err := l.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := sqldb.Fence(ctx, tx, name, epoch); err != nil {
			return err
		}
		rows, err := load(ctx, tx, l.db.Dialect(), ids(batch.Events))
		if err != nil {
			return err
		}
		changed, gaps = advance(ctx, rows, batch.Events)
		if err := save(tx, changed); err != nil {
			return err
		}
		tx.Queue(`INSERT INTO order_list_checkpoint (name, position) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, int64(batch.Position)) //nolint:gosec // below 2^63
		return nil
	})
	if err != nil {
		return fmt.Errorf("list of orders up to %d: %w", batch.Position, err)
	}
	for id := range changed {
		l.waiting.Wake(Source, id)
	}
	for _, gap := range gaps {
		l.log.ErrorContext(ctx, "order stays in the list as it was before this event", "error", gap)
	}
	return nil
}

// ids names the orders that events are about, each once.
func ids(events []es.Recorded) []string {
	var list []string
	seen := map[string]bool{}
	for _, recorded := range events {
		if id := recorded.AggregateID().String(); !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}

// advance returns the rows that events change. A row follows its stream without
// a gap: behind an event that cannot be read it stays where it is, which is
// late, and not wrong. Why is told once an event, in gaps: later events of the
// stream follow no row and are passed over.
func advance(ctx context.Context, rows map[string]row, events []es.Recorded) (changed map[string]row, gaps []error) {
	changed = map[string]row{}
	for _, recorded := range events {
		id := recorded.AggregateID().String()
		current, known := rows[id]
		if !known {
			current = row{version: es.NoStream}
		}
		if recorded.Revision != current.version+1 {
			continue
		}
		events, err := stored.Codec{}.Decode(ctx, recorded)
		if err != nil {
			gaps = append(gaps, fmt.Errorf("event %d of %s: %w", recorded.Revision, recorded.Stream, err))
			continue
		}
		next := row{current.state, recorded.Revision}
		for _, event := range events {
			next.state = domain.Apply(next.state, event)
		}
		rows[id], changed[id] = next, next
	}
	return changed, gaps
}
