package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// fileName is the database inside a data directory.
const fileName = "events.sqlite"

// Options say where a log lives. The zero value is a log in memory.
type Options struct {
	Dir          string           // data directory, made when missing; empty: in memory
	Now          func() time.Time // stamps events and ages them; nil: time.Now
	WriteTimeout time.Duration    // how long a write may wait for its commit; 0: 2 s
	Logger       *slog.Logger     // nil: silent
}

// Log is an event log. All methods are safe for concurrent use.
type Log struct {
	options Options
	writes  chan *write
	stopped chan struct{} // closed when the writer goroutine has ended

	// readers holds the idle connections for reading. writer holds the one for writing while it is idle: taking a
	// connection out of its channel is taking the right to use it. In memory there is only one connection, so both are
	// the same channel.
	readers, writer chan *conn
	all             []*conn
	databases       []*sql.DB
	unlock          func() error

	tail *tail

	// What follows belongs to the writer goroutine.
	position int64
	heads    *generations[string, *head]
	recent   *generations[recentID, int64]

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// recentID remembers an event id in its stream.
type recentID struct {
	stream int64
	id     uuid.UUID
}

const (
	headsKept     = 50_000 // streams, in each of two generations
	recentIDsKept = 60_000 // about 8 MiB of ids in two generations
)

// Open opens the log in options.Dir, creating it when it is missing. It fails when another process has it open, or when
// the file there is damaged or belongs to something else; the error names the directory.
func Open(options Options) (*Log, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.WriteTimeout == 0 {
		options.WriteTimeout = 2 * time.Second
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		options: options,
		writes:  make(chan *write, 1024),
		writer:  make(chan *conn, 1),
		heads:   newGenerations[string, *head](headsKept),
		recent:  newGenerations[recentID, int64](recentIDsKept),
		unlock:  func() error { return nil },
		stopped: make(chan struct{}),
		closing: make(chan struct{}),
	}
	if err := l.open(context.Background()); err != nil {
		return nil, errors.Join(err, l.release())
	}
	go l.writeLoop()
	return l, nil
}

func (l *Log) open(ctx context.Context) error {
	file := ""
	if dir := l.options.Dir; dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("data directory %s: %w", dir, err)
		}
		unlock, err := lockFile(filepath.Join(dir, lockName))
		if err != nil {
			return fmt.Errorf("data directory %s is locked: %w", dir, err)
		}
		l.unlock = unlock
		file = filepath.Join(dir, fileName)
	}
	if err := l.openFile(ctx, file); err != nil {
		return fmt.Errorf("open %s: %w", l.name(), explainDamage(err))
	}
	return nil
}

func (l *Log) openFile(ctx context.Context, file string) error {
	if file != "" {
		if err := prepareFile(ctx, file); err != nil {
			return err
		}
	}
	c, err := l.connect(ctx, file, false)
	if err != nil {
		return err
	}
	if file == "" {
		if err := createSchema(ctx, c.db); err != nil {
			return err
		}
	}
	if err := c.queryRow(sqlLastPosition).Scan(&l.position); err != nil {
		return err
	}
	l.tail = newTail(l.position)
	l.writer <- c
	if file == "" {
		l.readers = l.writer
		return nil
	}
	return l.openReaders(ctx, file)
}

func (l *Log) openReaders(ctx context.Context, file string) error {
	n := max(4, runtime.GOMAXPROCS(0))
	l.readers = make(chan *conn, n)
	for range n {
		c, err := l.connect(ctx, file, true)
		if err != nil {
			return err
		}
		l.readers <- c
	}
	return nil
}

// connect opens a database handle with exactly one connection: connections are handed out by this package, not by a pool.
func (l *Log) connect(ctx context.Context, file string, readOnly bool) (*conn, error) {
	db, err := sql.Open("sqlite", dataSource(file, readOnly))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	l.databases = append(l.databases, db)
	c, err := newConn(ctx, db)
	if err != nil {
		return nil, err
	}
	l.all = append(l.all, c)
	return c, nil
}

func (l *Log) name() string {
	if l.options.Dir == "" {
		return "event log in memory"
	}
	return "event log in " + l.options.Dir
}

// Close answers the writes that were queued, then closes the files. Writes that come later get ErrClosed. Close waits
// until the reads that are running have ended. Closing twice is no error.
func (l *Log) Close() error {
	l.closeOnce.Do(func() {
		close(l.closing)
		<-l.stopped
		held := len(l.all)
		for held > 0 {
			select {
			case <-l.readers:
			case <-l.writer:
			}
			held--
		}
		l.closeErr = l.release()
	})
	return l.closeErr
}

// release closes in reverse order: the writer's connection last, which is then the one to fold the WAL into the file.
func (l *Log) release() error {
	var errs []error
	for i := len(l.all) - 1; i >= 0; i-- {
		errs = append(errs, l.all[i].close())
	}
	for i := len(l.databases) - 1; i >= 0; i-- {
		errs = append(errs, l.databases[i].Close())
	}
	errs = append(errs, l.unlock())
	return errors.Join(errs...)
}

// read lends fn a connection for reading.
func (l *Log) read(ctx context.Context, fn func(*conn) error) error {
	select {
	case <-l.closing:
		return ErrClosed
	default:
	}
	select {
	case c := <-l.readers:
		defer func() { l.readers <- c }()
		return fn(c)
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return ErrClosed
	}
}
