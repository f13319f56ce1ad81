package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"orderflow/pkg/eventbus"
)

const (
	// leaseTime is how long a queue stays with an instance that has gone silent
	// and may still run. One whose process is known to be gone loses it at once.
	leaseTime  = 10 * time.Second
	renewEvery = 3 * time.Second
)

var errQueueGone = errors.New("the queue was removed")

// lease is what the file says about who consumes a queue.
type lease struct {
	owner   sql.NullString
	turn    int64
	handed  int64
	batch   int64
	alone   int64
	host    sql.NullString
	pid     sql.NullInt64
	expires sql.NullInt64
}

func readLease(ctx context.Context, from interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, queue int64,
) (lease, error) {
	var l lease
	err := from.QueryRowContext(ctx, `SELECT q.owner, q.turn, q.handed, q.batch, q.alone, i.host, i.pid, i.expires
		FROM queue AS q LEFT JOIN instance AS i ON i.id = q.owner WHERE q.id = ?`, queue).
		Scan(&l.owner, &l.turn, &l.handed, &l.batch, &l.alone, &l.host, &l.pid, &l.expires)
	if errors.Is(err, sql.ErrNoRows) {
		return l, errQueueGone
	}
	if err != nil {
		return l, fmt.Errorf("read lease: %w", err)
	}
	return l, nil
}

// held reports whether someone may be consuming the queue.
func (b *Bus) held(queue int64, l lease) bool {
	switch {
	case !l.owner.Valid, !l.expires.Valid:
		return false
	case l.owner.String == b.instance:
		return b.hasActive(queue, l.turn)
	case l.expires.Int64 < time.Now().UnixMicro():
		return false
	}
	return l.host.String != b.place() || !processGone(int(l.pid.Int64))
}

// hasActive reports whether a subscription of this very bus holds the queue.
func (b *Bus) hasActive(queue, turn int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subscriptions {
		if s.id.Load() == queue && s.turn.Load() == turn {
			return true
		}
	}
	return false
}

// place says where process ids mean the same as here: the host and, on Linux,
// the pid namespace, since containers can share a file but not their processes.
func (b *Bus) place() string {
	if runtime.GOOS == "linux" {
		if namespace, err := os.Readlink("/proc/self/ns/pid"); err == nil {
			return b.host + " " + namespace
		}
	}
	return b.host
}

// processGone reports whether no process has this id, when that can be known.
func processGone(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return true
	}
	err = process.Signal(syscall.Signal(0))
	_ = process.Release()
	return errors.Is(err, os.ErrProcessDone)
}

// takeLease makes the subscription the queue's consumer unless another one is.
// After an owner that did not let go by itself, the suspects may have been
// handed out before.
func (b *Bus) takeLease(ctx context.Context, s *subscription) (taken bool, err error) {
	queue := s.id.Load()
	seen, err := readLease(ctx, b.db, queue)
	if err != nil || b.held(queue, seen) {
		return false, err // without a write, as a consumer that stands by asks often
	}
	// A lease taken after nobody waits for it any more would never be released.
	err = b.writer.finish(ctx, &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		taken = false
		l, err := readLease(ctx, conn, queue)
		if err != nil || b.held(queue, l) {
			return err
		}
		if l.owner.Valid {
			last, err := suspects(ctx, conn, queue, l.batch)
			if err != nil {
				return err
			}
			l.handed, l.alone = max(l.handed, last), max(l.alone, last)
		}
		if err := b.renew(ctx, conn); err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, `UPDATE queue SET owner = ?, turn = ?, handed = ?, batch = ?, alone = ? WHERE id = ?`,
			b.instance, l.turn+1, l.handed, s.queue.BatchSize, l.alone, queue); err != nil {
			return fmt.Errorf("take lease: %w", err)
		}
		s.turn.Store(l.turn + 1)
		s.handed, s.single, s.risked = l.handed, l.alone, 0
		if strings.HasSuffix(s.queue.Name, eventbus.DeadSuffix) {
			s.single = 0 // dead letters have nowhere to go from here
		}
		taken = true
		return nil
	}})
	return taken && err == nil, err
}

// stillHeld reports whether the subscription is the queue's consumer yet: a
// process that was stopped for longer than its lease is not.
func (b *Bus) stillHeld(ctx context.Context, s *subscription) (bool, error) {
	l, err := readLease(ctx, b.db, s.id.Load())
	return err == nil && l.owner.String == b.instance && l.turn == s.turn.Load(), err
}

// release is what a consumer leaves behind that has ended.
type release struct {
	queue, turn int64
	taken       int64 // the last message that was taken in this turn
	risked      int64 // the last one that was handed out alone; 0 is none
}

// letGo releases a lease, so that another instance can take over at once. One
// that cannot be released now is released later, see keepLease: it would
// otherwise be renewed with the bus's other leases, and kept for ever.
func (b *Bus) letGo(ctx context.Context, r release) error {
	err := b.releaseLease(ctx, r)
	if err != nil {
		b.mu.Lock()
		b.unreleased = append(b.unreleased, r)
		b.mu.Unlock()
	}
	return err
}

// makeUp releases what could not be released before, until one fails again.
func (b *Bus) makeUp(ctx context.Context) error {
	for {
		b.mu.Lock()
		if len(b.unreleased) == 0 {
			b.mu.Unlock()
			return nil
		}
		r := b.unreleased[0]
		b.mu.Unlock()
		if err := b.releaseLease(ctx, r); err != nil {
			return err
		}
		b.mu.Lock()
		b.unreleased = b.unreleased[1:]
		b.mu.Unlock()
	}
}

// releaseLease either releases the lease or changes nothing. What was handed out
// alone and not acknowledged did not end this consumer, whoever has the queue now.
func (b *Bus) releaseLease(ctx context.Context, r release) error {
	return b.writer.finish(ctx, &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `UPDATE queue SET owner = NULL, handed = max(handed, ?)
			WHERE id = ? AND owner = ? AND turn = ?`, r.taken, r.queue, b.instance, r.turn)
		if err == nil && r.risked != 0 {
			_, err = conn.ExecContext(ctx, `UPDATE delivery SET lost = lost - 1 WHERE queue = ? AND message = ? AND lost > 0`,
				r.queue, r.risked)
		}
		if err != nil {
			return fmt.Errorf("release lease: %w", err)
		}
		return nil
	}})
}

// renew says that this instance lives, and forgets those long dead.
func (b *Bus) renew(ctx context.Context, conn *sql.Conn) error {
	now := time.Now()
	if _, err := conn.ExecContext(ctx, `INSERT INTO instance (id, host, pid, expires) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires`,
		b.instance, b.place(), os.Getpid(), now.Add(leaseTime).UnixMicro()); err != nil {
		return fmt.Errorf("renew lease: %w", err)
	}
	if _, err := conn.ExecContext(ctx, `DELETE FROM instance WHERE expires < ?`,
		now.Add(-time.Hour).UnixMicro()); err != nil {
		return fmt.Errorf("forget old instances: %w", err)
	}
	return nil
}

// keepLease renews while there are subscriptions, and releases what could not be
// released before.
func (b *Bus) keepLease(ctx context.Context) {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		b.mu.Lock()
		idle := len(b.subscriptions) == 0
		b.mu.Unlock()
		if err := b.makeUp(ctx); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "lease not released", "error", err)
		}
		if idle {
			continue
		}
		if err := b.writer.do(ctx, &job{alone: b.renew}); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "lease not renewed", "error", err)
		}
	}
}

func (b *Bus) forgetInstance(ctx context.Context) error {
	return b.writer.do(ctx, &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, `DELETE FROM instance WHERE id = ?`, b.instance); err != nil {
			return fmt.Errorf("forget instance: %w", err)
		}
		return nil
	}})
}
