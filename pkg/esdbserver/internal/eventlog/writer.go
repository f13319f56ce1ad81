package eventlog

import (
	"context"
	"errors"
	"fmt"
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
	w := &write{ctx: ctx, size: size, apply: apply, done: make(chan struct{})}
	timeout := time.NewTimer(l.options.WriteTimeout)
	defer timeout.Stop()
	select {
	case <-l.closing:
		return Appended{}, ErrClosed
	default:
	}
	select {
	case l.writes <- w:
	case <-l.closing:
		return Appended{}, ErrClosed
	case <-ctx.Done():
		return Appended{}, ctx.Err()
	case <-timeout.C:
		return Appended{}, ErrTimeout
	}
	select {
	case <-w.done:
		return w.answer, w.err
	case <-ctx.Done():
		return Appended{}, ctx.Err()
	case <-timeout.C:
		return Appended{}, ErrTimeout
	case <-l.stopped:
	}
	select {
	case <-w.done:
		return w.answer, w.err
	default:
		return Appended{}, ErrClosed // queued behind the last transaction
	}
}

// writeLoop is the only goroutine that writes. It takes what has queued while the previous transaction was committed.
func (l *Log) writeLoop() {
	defer close(l.stopped)
	for {
		select {
		case w := <-l.writes:
			l.commit(l.gather(w))
		case <-l.closing:
			for {
				select {
				case w := <-l.writes:
					l.commit(l.gather(w))
				default:
					return
				}
			}
		}
	}
}

// gather adds to the first write what is there already, without waiting.
func (l *Log) gather(first *write) []*write {
	writes, bytes := []*write{first}, first.size
	for len(writes) < maxBatchWrites && bytes < maxBatchBytes {
		select {
		case w := <-l.writes:
			writes, bytes = append(writes, w), bytes+w.size
		default:
			return writes
		}
	}
	return writes
}

// commit runs the writes in one transaction and answers them when it is durable.
func (l *Log) commit(writes []*write) {
	c := <-l.writer
	b := &batch{log: l, c: c}
	err := b.run(writes)
	if err == nil {
		l.tail.publish(b.written)
	}
	l.writer <- c
	if err != nil {
		l.options.Logger.Error("a transaction was not stored; its writers were told", "writes", len(writes), "error", err)
	}
	for _, w := range writes {
		if err != nil && w.err == nil {
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
		if w.answer, w.err, failure = w.apply(b); failure != nil {
			return b.abandon(failure)
		}
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
	if _, err := b.c.exec(sqlRollback); err != nil {
		return errors.Join(cause, fmt.Errorf("roll back: %w", err))
	}
	return cause
}
