package eventlog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// A transaction takes at most so many writes and bytes, so that the first in it does not wait long for the last.
const (
	maxBatchWrites = 512
	maxBatchBytes  = 8 << 20
)

// write is one request of a client: an append, a deletion or a tombstone.
type write struct {
	ctx  context.Context
	size int
	// apply does the work inside the transaction. A refusal is an answer to the client and must leave nothing written; a
	// failure is the database's and ends the whole transaction.
	apply func(*batch) (answer Appended, refusal, failure error)

	answer Appended
	err    error
	done   chan struct{}
}

// submit queues a write and waits for its commit.
func (l *Log) submit(ctx context.Context, size int, apply func(*batch) (Appended, error, error)) (Appended, error) {
	w, err := l.enqueue(ctx, size, apply)
	if err != nil {
		return Appended{}, err
	}
	timeout := time.NewTimer(l.options.WriteTimeout)
	defer timeout.Stop()
	return w.await(timeout.C)
}

// enqueue queues a write. Writes that one goroutine queues are applied in that order.
func (l *Log) enqueue(ctx context.Context, size int, apply func(*batch) (Appended, error, error)) (*write, error) {
	w := &write{ctx: ctx, size: size, apply: apply, done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !l.queue.add(w) {
		return nil, ErrClosed
	}
	return w, nil
}

// await waits for the commit of a queued write.
func (w *write) await(timeout <-chan time.Time) (Appended, error) {
	select {
	case <-w.done:
		return w.answer, w.err
	case <-w.ctx.Done():
		return Appended{}, w.ctx.Err()
	case <-timeout:
		return Appended{}, ErrTimeout
	}
}

// writeLoop is the only goroutine that writes. It takes what has queued while the previous transaction was committed, and
// ends when everything that was queued before the log was closed has been answered.
func (l *Log) writeLoop() {
	defer close(l.stopped)
	for range l.queue.more {
		for {
			writes, ended := l.gather()
			if len(writes) > 0 {
				l.commit(writes)
			}
			if ended {
				return
			}
			if len(writes) == 0 {
				break
			}
		}
	}
}

// gather takes what is there already, and what is about to be: as long as it brings more writes it lets other goroutines
// run before it goes on. On a busy machine the callers whom the last transaction answered come back one by one, and each
// would otherwise get a transaction, and an fsync, of its own. It waits for nobody: with no goroutine ready to run, letting
// others run takes no time.
func (l *Log) gather() (writes []*write, ended bool) {
	for {
		before := len(writes)
		if writes, ended = l.queue.take(writes); len(writes) == before || ended {
			return writes, ended
		}
		runtime.Gosched()
	}
}

// commit runs the writes in one transaction and answers them when it is durable.
func (l *Log) commit(writes []*write) {
	c := <-l.writer
	b := &batch{log: l, c: c}
	err := l.writable()
	if err == nil {
		err = b.run(writes)
	}
	if err == nil {
		if l.options.Committed != nil {
			l.options.Committed(b.written)
		}
		l.tail.publish(b.written)
		l.boundWAL(c, writes)
	}
	l.writer <- c
	if err != nil {
		l.options.Logger.Error("a transaction was not stored; its writers were told", "writes", len(writes), "error", err)
	}
	for _, w := range writes {
		if err != nil { // a refusal too: it may be on account of a neighbour that was undone
			w.answer, w.err = Appended{}, fmt.Errorf("store events: %w", err)
		}
		close(w.done)
	}
}

// batch is the transaction that a group of writes shares.
type batch struct {
	log     *Log
	c       *conn
	written []*Event
	record  []byte // room for the record of an event
}

func (b *batch) run(writes []*write) error {
	if _, err := b.c.exec(sqlBegin); err != nil {
		return err
	}
	for _, w := range writes {
		if err := w.ctx.Err(); err != nil {
			w.err = err // nobody waits for it any more, and nothing of it was written
			continue
		}
		var failure error
		before := len(b.written)
		if w.answer, w.err, failure = w.apply(b); failure == nil {
			continue
		}
		if failure = b.log.noteDamage(failure); !errors.Is(failure, ErrDamaged) || len(b.written) > before {
			return b.abandon(failure)
		}
		w.err = failure // damage that was met in looking, before anything was written, concerns this write alone
	}
	if len(b.written) == 0 {
		_, err := b.c.exec(sqlRollback)
		return err
	}
	if _, err := b.c.exec(sqlCommit); err != nil {
		return b.abandon(err)
	}
	return nil
}

// abandon undoes the transaction and forgets everything that was remembered during it. Positions are not taken back: the
// next ones are larger.
func (b *batch) abandon(cause error) error {
	b.log.heads.clear()
	b.log.recent.clear()
	cause = b.log.noteUnconfirmed(cause)
	if _, err := b.c.exec(sqlRollback); err != nil && !isRolledBack(err) {
		b.log.fail()
		return fmt.Errorf("%w, and it cannot be rolled back: %w", cause, err)
	}
	return cause
}
