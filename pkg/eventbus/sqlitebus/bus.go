package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// Config says where the bus is.
type Config struct {
	// Path of the file; it and its directory are created. The WAL files beside
	// it belong to it. The disk must be a local one: SQLite's locks do not work
	// on network file systems.
	Path string
	// Logger receives what the bus does on its own; nil discards it.
	Logger *slog.Logger
}

// Bus is one opening of a file. Safe for concurrent use. Services that run in
// one process do best to share one Bus: they then wake each other at once and
// share transactions.
type Bus struct {
	path      string
	host      string
	log       *slog.Logger
	db        *sql.DB
	fetch     *sql.Stmt // reads a batch
	instance  string    // names this opening of the file in leases
	lostLimit int       // see the constant of this name
	writer    *writer
	count     handover.Counters

	mu            sync.Mutex
	closed        bool
	subscriptions map[*subscription]struct{}
	unreleased    []release // leases that could not be released so far

	stopLoops context.CancelFunc
	loops     sync.WaitGroup
}

var (
	_ eventbus.Bus      = (*Bus)(nil)
	_ eventbus.Reporter = (*Bus)(nil)
)

// Open opens or creates the file. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if cfg.Path == "" {
		return nil, errors.New("open event bus: no path")
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("open event bus %s: %w", cfg.Path, err)
	}
	db, err := openFile(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open event bus %s: %w", cfg.Path, err)
	}
	b := &Bus{
		path:          cfg.Path,
		host:          host,
		log:           log.With("bus", filepath.Base(cfg.Path)),
		db:            db,
		instance:      uuid.NewString(),
		lostLimit:     lostLimit,
		subscriptions: map[*subscription]struct{}{},
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open event bus %s: %w", cfg.Path, err), db.Close())
	}
	b.fetch, err = db.PrepareContext(ctx, fetchQuery)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open event bus %s: %w", cfg.Path, err), db.Close())
	}
	b.writer = newWriter(db, b.stored)
	loops, stop := context.WithCancel(context.Background())
	b.stopLoops = stop
	b.loops.Go(b.writer.run)
	b.loops.Go(func() { b.watch(loops) })
	b.loops.Go(func() { b.keepLease(loops) })
	return b, nil
}

// prepare makes the tables. Opening a file while another process recovers it
// after a crash can be refused for a moment, whatever the busy timeout.
func (b *Bus) prepare(ctx context.Context) error {
	pauses := handover.Pauses(5*time.Millisecond, 200*time.Millisecond)
	for {
		err := b.onConnection(ctx, func(conn *sql.Conn) error { return prepareSchema(ctx, conn) })
		if err == nil || !isBusy(err) || !handover.Pause(ctx, pauses.NextBackOff()) {
			return err
		}
	}
}

func (b *Bus) onConnection(ctx context.Context, fn func(*sql.Conn) error) error {
	conn, err := b.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return errors.Join(fn(conn), conn.Close())
}

// Ready returns nil unless the bus is closed or its last write failed.
func (b *Bus) Ready() error {
	if b.isClosed() {
		return eventbus.ErrClosed
	}
	if err := b.writer.trouble(); err != nil {
		return fmt.Errorf("event bus %s: %w", b.path, err)
	}
	return nil
}

// Depth counts the events waiting in a queue. Those that a consumer of this
// Bus handles at the moment are left out; what a consumer in another process
// handles is counted until it is acknowledged.
func (b *Bus) Depth(ctx context.Context, queue string) (int, error) {
	if b.isClosed() {
		return 0, eventbus.ErrClosed
	}
	var id, depth int64
	err := b.db.QueryRowContext(ctx, `SELECT id FROM queue WHERE name = ?`, queue).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = eventbus.ErrNoQueue
	}
	if err != nil {
		return 0, fmt.Errorf("depth of %q: %w", queue, err)
	}
	err = b.db.QueryRowContext(ctx, `SELECT count(*) FROM delivery WHERE queue = ? AND message > ?`,
		id, b.handedUpTo(queue)).Scan(&depth)
	if err != nil {
		return 0, fmt.Errorf("depth of %q: %w", queue, err)
	}
	return int(depth), nil
}

// handedUpTo is the last message of the queue that a consumer of this bus took.
func (b *Bus) handedUpTo(queue string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subscriptions {
		if s.queue.Name == queue && s.active.Load() {
			return s.taken.Load()
		}
	}
	return 0
}

// Stats reads the counters.
func (b *Bus) Stats() eventbus.Stats { return b.count.Stats() }

// Close ends every subscription, then finishes what was handed to Publish
// before, and closes the file.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	var running []*subscription
	for s := range b.subscriptions {
		running = append(running, s)
	}
	b.mu.Unlock()

	failures := make([]error, len(running))
	var closing sync.WaitGroup
	for i, s := range running {
		closing.Go(func() { failures[i] = s.Close(ctx) })
	}
	closing.Wait()
	b.stopLoops()
	// Whoever is in a hurry must not leave its queues to nobody until the lease
	// has run out.
	farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	failures = append(failures, b.forgetInstance(farewell), b.writer.close(ctx))
	b.loops.Wait()
	if err := errors.Join(append(failures, b.fetch.Close(), b.db.Close())...); err != nil {
		return fmt.Errorf("close event bus %s: %w", b.path, err)
	}
	return nil
}

func (b *Bus) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// wake tells the consumers of this bus that there may be something for them.
func (b *Bus) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subscriptions {
		s.wakeUp()
	}
}

// stored is called by the writer with the queues a transaction put something
// into, after it was committed.
func (b *Bus) stored(queues map[int64]struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subscriptions {
		if _, ok := queues[s.id.Load()]; ok {
			s.wakeUp()
		}
	}
}
