package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"orderflow/pkg/eventbus"
)

// maxGroup bounds how many events and acknowledgements share a transaction, so
// that a burst does not make the first of it wait for the last.
const maxGroup = 4000

// writer is the only one in this process to write to the file through this
// bus. While one transaction is being synced to the disk the next one gathers
// everything that arrives: the busier the bus, the cheaper each event.
type writer struct {
	db     *sql.DB
	stored func(queues map[int64]struct{}) // called after commit

	mu      sync.Mutex
	pending []*job
	closed  bool
	kick    chan struct{}

	stopped context.Context // ends when waiting for the lock must end
	stop    context.CancelFunc
	done    chan struct{}

	session *session // the connection; nil after trouble
	last    atomic.Pointer[error]
}

// job is one caller's work; exactly one of publish, ack, note and alone is set.
type job struct {
	ctx     context.Context
	publish []eventbus.Event
	to      string // the one queue that takes them; empty is whichever are bound
	ack     *ack
	note    *note
	alone   func(context.Context, *sql.Conn) error // needs a transaction of its own

	err  error // valid once done is closed
	done chan struct{}
}

// ack removes handled messages from a queue.
type ack struct {
	queue    int64
	messages []int64
	turn     int64 // in which they were handed out
	stale    bool  // the answer: the turn is over
}

// note counts that a message is about to be handed out alone.
type note struct {
	queue, message int64
}

func (j *job) size() int {
	if j.ack != nil {
		return len(j.ack.messages)
	}
	return len(j.publish)
}

func newWriter(db *sql.DB, stored func(map[int64]struct{})) *writer {
	w := &writer{db: db, stored: stored, kick: make(chan struct{}, 1), done: make(chan struct{})}
	w.stopped, w.stop = context.WithCancel(context.Background())
	return w
}

// do hands in a job and waits for it. When ctx ends first, a job that the writer
// has not taken yet is withdrawn; the outcome of one that it has is unknown.
func (w *writer) do(ctx context.Context, j *job) error {
	if err := w.start(ctx, j); err != nil {
		return err
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		w.withdraw(j)
		return context.Cause(ctx)
	}
}

// finish hands in a job and waits for its outcome to be known. The job itself
// ends soon after ctx does, unless it has the file already.
func (w *writer) finish(ctx context.Context, j *job) error {
	if err := w.start(ctx, j); err != nil {
		return err
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if w.withdraw(j) {
			return context.Cause(ctx)
		}
	}
	<-j.done
	return j.err
}

// start hands in a job without waiting for it.
func (w *writer) start(ctx context.Context, j *job) error {
	j.ctx, j.done = ctx, make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return eventbus.ErrClosed
	}
	w.pending = append(w.pending, j)
	select {
	case w.kick <- struct{}{}:
	default:
	}
	return nil
}

// withdraw takes back a job that the writer has not taken yet: while the file is
// not to be had, callers that give up and try again must not fill the memory. It
// reports false when the writer has the job.
func (w *writer) withdraw(j *job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.Index(w.pending, j)
	if at < 0 {
		return false
	}
	w.pending = slices.Delete(w.pending, at, at+1)
	return true
}

// close lets what was handed in finish. When ctx ends first, jobs that still
// wait for another process to let go of the file fail.
func (w *writer) close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
	defer w.stop()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		w.stop()
		<-w.done
		return context.Cause(ctx)
	}
}

// run works until close, and until nothing is pending.
func (w *writer) run() {
	defer close(w.done)
	defer func() { w.session.close() }()
	for {
		<-w.kick
		for {
			group, closed := w.take()
			if len(group) == 0 {
				if closed {
					return
				}
				break
			}
			w.work(group)
		}
	}
}

// take removes the next group: jobs that can share a transaction, or one that
// needs its own.
func (w *writer) take() (group []*job, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var size, n int
	for _, j := range w.pending {
		if (j.alone != nil || size >= maxGroup) && n > 0 {
			break
		}
		n++
		size += j.size()
		if j.alone != nil {
			break
		}
	}
	group = append(group, w.pending[:n]...)
	clear(w.pending[:n])
	w.pending = w.pending[n:]
	if len(w.pending) == 0 {
		w.pending = nil // lets go of the array a burst has grown
	}
	return group, w.closed
}

// work runs a group in one transaction. If that fails, each job gets its own,
// so that one that cannot be stored does not take others with it.
func (w *writer) work(group []*job) {
	live := group[:0]
	for _, j := range group {
		if j.ctx.Err() != nil {
			j.err = context.Cause(j.ctx)
			close(j.done)
			continue
		}
		live = append(live, j)
	}
	if len(live) == 0 {
		return
	}
	err := w.transaction(live)
	if err != nil && len(live) > 1 && w.stopped.Err() == nil {
		for _, j := range live {
			w.work([]*job{j})
		}
		return
	}
	for _, j := range live {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}

func (w *writer) transaction(group []*job) error {
	if w.session == nil {
		session, err := openSession(w.stopped, w.db)
		if err != nil {
			w.last.Store(&err)
			return err
		}
		w.session = session
	}
	waiting := w.stopped
	if group[0].alone != nil {
		ctx, cancel := context.WithCancel(group[0].ctx)
		defer cancel()
		defer context.AfterFunc(w.stopped, cancel)()
		waiting = ctx
	}
	var touched map[int64]struct{}
	var refused error
	err := inTransaction(waiting, w.session.conn, func() error {
		if alone := group[0].alone; alone != nil {
			refused = alone(context.Background(), w.session.conn)
			return refused
		}
		var err error
		touched, err = w.session.store(context.Background(), group)
		return err
	})
	if err == nil {
		w.last.Store(nil)
		w.stored(touched)
		return nil
	}
	if refused != nil && !isSQLiteError(refused) || waiting.Err() != nil {
		return err // the job's own doing; the file is fine
	}
	w.last.Store(&err)
	if !isBusy(err) {
		// Start over with a fresh connection: whatever the trouble left behind
		// in this one must not reach the next transaction.
		w.session.discard()
		w.session = nil
	}
	return err
}

// trouble is why the last transaction failed, or nil.
func (w *writer) trouble() error {
	if err := w.last.Load(); err != nil {
		return fmt.Errorf("last write: %w", *err)
	}
	return nil
}

var errDiscarded = errors.New("connection given up after an error")
