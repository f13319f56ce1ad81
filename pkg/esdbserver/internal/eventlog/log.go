package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// fileName is the database inside a data directory.
const fileName = "events.sqlite"

// DefaultWriteTimeout is how long a write waits for its commit unless somebody says otherwise.
const DefaultWriteTimeout = 2 * time.Second

// Options say where a log lives. The zero value is a log in memory.
type Options struct {
	Dir          string           // data directory, made when missing; empty: in memory
	Now          func() time.Time // stamps events and ages them; nil: time.Now
	WriteTimeout time.Duration    // how long a write may wait for its commit; 0: 2 s
	Logger       *slog.Logger     // nil: silent
	// Committed is told what a transaction has committed, before anybody else can learn of it: its writers are not
	// answered yet, and those who follow the log are not woken. It must not wait. nil: nobody is told.
	Committed func([]*Event)
	// DiskFailed is called, once and in a goroutine of its own, when no write is accepted any more until the log is opened
	// again. nil: nobody is told.
	DiskFailed func()
}

// Log is an event log. All methods are safe for concurrent use.
type Log struct {
	options Options
	queue   *queue
	stopped chan struct{} // closed when the writer goroutine has ended

	// readers holds the idle connections for reading. writer holds the one for writing while it is idle: taking a
	// connection out of its channel is taking the right to use it. In memory there is only one connection, so both are
	// the same channel.
	readers, writer chan *conn
	all             []*conn
	unlock          func() error

	tail    *tail
	damages damageLog
	failed  atomic.Bool // no write is accepted any more: see fail

	// What follows belongs to the writer goroutine.
	position int64
	heads    *generations[string, *head]
	recent   *generations[recentID, int64]
	walLimit int64 // bytes of write-ahead log from which on readers are stopped to fold it into the file
	unfolded int64 // bytes written since its size was looked at

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// recentID remembers an event id in its stream.
type recentID struct {
	stream int64
	id     uuid.UUID
}

// What is remembered, in each of two generations. A stream name has no limit but that of a message, as in the original
// server: long ones crowd out others.
const (
	headsKept     = 10 << 20 // bytes of stream names, with headWeight for each stream
	headWeight    = 200
	recentIDsKept = 60_000 // ids; about 8 MiB in two generations
)

// Open opens the log in options.Dir, creating it when it is missing. It fails when another process has it open, or when
// the file there is damaged or belongs to something else; the error names the directory.
func Open(options Options) (*Log, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.WriteTimeout == 0 {
		options.WriteTimeout = DefaultWriteTimeout
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		options: options,
		queue:   newQueue(),
		writer:  make(chan *conn, 1),
		heads:   newGenerations[string, *head](headsKept, func(name string) int { return headWeight + len(name) }),
		recent:  newGenerations[recentID, int64](recentIDsKept, func(recentID) int { return 1 }),
		unlock:  func() error { return nil },

		walLimit: walLimit,
		stopped:  make(chan struct{}),
		closing:  make(chan struct{}),
	}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	go l.writeLoop()
	return l, nil
}

func (l *Log) open() error {
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
	if err := l.openFile(file); err != nil {
		return fmt.Errorf("open %s: %w", l.name(), explainDamage(err))
	}
	return nil
}

func (l *Log) openFile(file string) error {
	if file != "" {
		if err := prepareFile(file); err != nil {
			return err
		}
	}
	c, err := l.connect(file, accessWrite)
	if err != nil {
		return err
	}
	if file == "" {
		if err := createSchema(c, schemaVersion); err != nil {
			return err
		}
	}
	if err := c.queryRow([]any{&l.position}, sqlLastPosition); err != nil {
		return err
	}
	l.tail = newTail(l.position)
	l.writer <- c
	if file == "" {
		l.readers = l.writer
		return nil
	}
	return l.openReaders(file)
}

func (l *Log) openReaders(file string) error {
	n := max(4, runtime.GOMAXPROCS(0))
	l.readers = make(chan *conn, n)
	for range n {
		c, err := l.connect(file, accessRead)
		if err != nil {
			return err
		}
		l.readers <- c
	}
	return nil
}

// connect opens a connection that is closed with the log.
func (l *Log) connect(file string, to access) (*conn, error) {
	c, err := connect(dataSource(file, to))
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
		l.queue.close() // first: whoever sees that the log is closing has no write taken any more
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
		return l.noteDamage(fn(c))
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return ErrClosed
	}
}
