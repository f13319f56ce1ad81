package inbox

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"orderflow/pkg/position"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// MinRetention is the least time for which handled events stay known.
const MinRetention = 7 * 24 * time.Hour

// Options tune an [Inbox]. The zero value is right for a service.
type Options struct {
	// MaxAttempts is how often an event is tried before it is parked; the
	// default is 10.
	MaxAttempts int
	// BaseDelay is the delay after the first failed attempt; it doubles with
	// each one, up to MaxDelay, and is spread by a fifth. The defaults are
	// 200 ms and 5 min.
	BaseDelay, MaxDelay time.Duration
	// Timeout bounds one call of a handler, and a batch whose handlers take
	// longer together is divided; the default is 1 min. Keep it well below the
	// time the bus waits for an acknowledgement (30 min on RabbitMQ), and below
	// 5 min on PostgreSQL, which ends a transaction that idles.
	Timeout time.Duration
	// Concurrency is how many Do handlers, and how many held subjects, are
	// worked on at a time; the default is 16.
	Concurrency int
	// Lanes is how many transactions a batch of events for On handlers is
	// divided into, by subject, that run side by side; the default is 1. More
	// pay where the database has processors to spare, and where batches are
	// large. Handlers must then be safe for concurrent use; what they queue for
	// rows that several subjects share may deadlock, and is repeated. SQLite has
	// one writer and so one lane. On PostgreSQL there are no more than half the
	// connections of the pool (pool_max_conns of its URL), with a line in the log:
	// a lane keeps one for its transaction, and its handler may take another.
	Lanes int
	// Poll is how often Run looks for held events that are due; the default is
	// 200 ms.
	Poll time.Duration
	// Retention is how long handled events stay known; the default is 30 days,
	// the least [MinRetention].
	Retention time.Duration
	// Personal is the prefix of the types whose subject is somebody who may be
	// forgotten, such as "customer.events."; see [Inbox.Erase].
	Personal string
	// Forgotten is the type of the event that says that its subject is forgotten,
	// such as "customer.events.forgotten.v1", whose handler calls [Inbox.Erase].
	// Where earlier events of the subject are held, it does not wait behind them
	// for as long as they may be tried: each is tried once more, at once.
	Forgotten string
	// Outage recognises errors of handlers that mean "what I need does not
	// work at the moment", such as an event store that does not answer. They
	// count no attempt; the consumer pauses.
	Outage func(error) bool
}

func (o Options) withDefaults() Options {
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 10)
	o.BaseDelay = cmp.Or(o.BaseDelay, 200*time.Millisecond)
	o.MaxDelay = cmp.Or(o.MaxDelay, 5*time.Minute)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.Concurrency = cmp.Or(o.Concurrency, 16)
	o.Lanes = max(o.Lanes, 1)
	o.Poll = cmp.Or(o.Poll, 200*time.Millisecond)
	o.Retention = max(cmp.Or(o.Retention, 30*24*time.Hour), MinRetention)
	return o
}

// Inbox is one consumer. Register its handlers first; from then on it is safe
// for concurrent use.
type Inbox struct {
	db       sqldb.DB
	consumer string
	log      *slog.Logger
	options  Options
	dialect  dialect
	seats    seats
	routes   routes
	counters counters
	metrics  metrics
	wake     chan struct{}
	scrubs   chan struct{}
	// lastHandled is when this process last handled an event, in microseconds.
	lastHandled atomic.Int64
	seed        maphash.Seed // spreads subjects over lanes
	// allNew says that the last batch had only events to handle, as the next one
	// is likely to have.
	allNew  atomic.Bool
	waiting *position.Waiting
	newest  atomic.Int64 // the time of the newest event that this process handled, in microseconds
	busy    atomic.Int64 // batches that are being handled

	mu       sync.Mutex
	running  bool
	problem  error     // why the last round of Run did not work
	outage   error     // why the last batch was not handled
	outageAt time.Time // and when
}

// dialect is what differs between the databases.
type dialect interface {
	// lock queues a statement that waits for every other transaction that has
	// locked one of the subjects, and keeps others waiting until tx ends.
	lock(tx sqldb.Tx, consumer string, subjects []string)
	// look asks which events are known (rows of false, id, source) and which of
	// the subjects have a held one (rows of true, subject, nothing). It may
	// answer for events with the same id from other sources as well.
	look(ctx context.Context, q sqldb.Querier, consumer string, keys []key, subjects []string) (sqldb.Rows, error)
	// admit notes, as handled at the first attempt, the events that are not
	// known and of whose subjects none is held, and tells which they are. When
	// allNew says that this should be all of them, it may return errNotNew
	// instead, and the transaction is to begin anew.
	admit(ctx context.Context, tx sqldb.Tx, consumer string, items []item, now time.Time, allNew bool) (map[key]bool, error)
	// note queues the rows of events that were handled at the first attempt.
	note(tx sqldb.Tx, consumer string, items []item, now time.Time)
	// forget removes at most limit rows of events that were handled before a
	// time, in microseconds, keeps how far they went, and returns how many.
	forget(ctx context.Context, tx sqldb.Tx, consumer string, before int64, limit int) (int64, error)
	// aboutSubject is the condition for rows of inbox with the source and subject
	// of w that belong to consumer $1.
	aboutSubject() string
	// mentions is the condition that data has a text in it, a column or a
	// placeholder.
	mentions(text string) string
	// spansEffects reports whether a transaction, with its locks, can stay open
	// while handlers have effects elsewhere without being in anybody's way.
	spansEffects() bool
}

// Migrate makes the tables that every [Inbox] in the database shares.
func Migrate(ctx context.Context, db sqldb.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, "inbox", files)
}

// New returns the inbox of a consumer: all instances that share its queue use
// the same name. It does nothing by itself: [Migrate] makes the tables,
// [Inbox.Handle] takes events, [Inbox.Run] tries held ones again.
func New(db sqldb.DB, consumer string, log *slog.Logger, options Options) *Inbox {
	in := &Inbox{
		db: db, consumer: consumer, log: log, options: options.withDefaults(),
		dialect: sqlite{}, seats: seatsFor(db), wake: make(chan struct{}, 1), scrubs: make(chan struct{}, 1), seed: maphash.MakeSeed(), metrics: newMetrics(),
	}
	in.waiting = position.NewWaiting(in.states)
	if db.Dialect() == sqldb.Postgres {
		in.dialect = postgres{}
	}
	in.options.Lanes = min(in.options.Lanes, cap(in.seats))
	if in.options.Lanes < options.Lanes && db.Dialect() == sqldb.Postgres {
		log.Warn("inbox has fewer lanes than it was told: each needs two connections, see pool_max_conns",
			"consumer", consumer, "lanes", in.options.Lanes, "told", options.Lanes)
	}
	return in
}

// outageFresh is how long a batch that could not be handled speaks against
// readiness: the next one may go to another instance.
const outageFresh = time.Minute

// Ready returns nil while events can be handled and held ones are tried again;
// otherwise why not.
func (in *Inbox) Ready() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case !in.running:
		return fmt.Errorf("inbox %s: not running", in.consumer)
	case in.problem != nil:
		return fmt.Errorf("inbox %s: %w", in.consumer, in.problem)
	case in.outage != nil && time.Since(in.outageAt) < outageFresh:
		return fmt.Errorf("inbox %s: %w", in.consumer, in.outage)
	}
	return nil
}

func (in *Inbox) noteBatch(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return // stopping is no outage
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.outage, in.outageAt = err, time.Now()
}

// Backlog counts the events that are held and those that are parked.
func (in *Inbox) Backlog(ctx context.Context) (held, parked int, err error) {
	err = in.db.QueryRow(ctx, `SELECT
			count(CASE WHEN status = 'held' THEN 1 END), count(CASE WHEN status = 'parked' THEN 1 END)
		FROM inbox_held WHERE consumer = $1`, in.consumer).Scan(&held, &parked)
	if err != nil {
		return 0, 0, fmt.Errorf("count what inbox %s holds: %w", in.consumer, err)
	}
	return held, parked, nil
}
