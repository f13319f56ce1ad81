package sqlitebus

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

// Subscribe declares the queue and starts its consumer. Of several consumers
// of a queue one is active; the others stand by. eventbus.Unrouted, and a queue
// of dead letters, can be subscribed to without patterns.
func (b *Bus) Subscribe(ctx context.Context, q eventbus.Queue, h eventbus.Handler) (eventbus.Subscription, error) {
	q, err := q.Complete()
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s := &subscription{
		bus:   b,
		queue: q,
		life:  handover.NewLifetime(),
		wakes: make(chan struct{}, 1),
	}
	s.handler = handover.Handler{Queue: q.Name, Handle: h, Log: b.log, Count: &b.count}
	if err := b.declare(ctx, s, true); err != nil {
		return nil, fmt.Errorf("subscribe %s on %s: %w", q.Name, b.path, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, eventbus.ErrClosed
	}
	b.subscriptions[s] = struct{}{}
	go s.run()
	return s, nil
}

// declare makes the queue and its bindings. prune removes bindings the queue
// had before: a consumer that starts knows what it wants, one that finds its
// queue gone only puts back what is its own.
func (b *Bus) declare(ctx context.Context, s *subscription, prune bool) error {
	return b.writer.do(ctx, &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		names := []string{s.queue.Name, s.queue.Name + eventbus.DeadSuffix}
		if strings.HasSuffix(s.queue.Name, eventbus.DeadSuffix) {
			names = names[:1]
		}
		for _, name := range names {
			if _, err := conn.ExecContext(ctx, `INSERT INTO queue (name) VALUES (?) ON CONFLICT DO NOTHING`, name); err != nil {
				return fmt.Errorf("declare %s: %w", name, err)
			}
		}
		var id int64
		if err := conn.QueryRowContext(ctx, `SELECT id FROM queue WHERE name = ?`, s.queue.Name).Scan(&id); err != nil {
			return fmt.Errorf("declare: %w", err)
		}
		had, err := patternsOf(ctx, conn, id)
		if err != nil {
			return err
		}
		for _, pattern := range s.queue.Patterns {
			if slices.Contains(had, pattern) {
				continue
			}
			if _, err := conn.ExecContext(ctx, `INSERT INTO binding (queue, pattern) VALUES (?, ?)`, id, pattern); err != nil {
				return fmt.Errorf("bind %s: %w", pattern, err)
			}
		}
		for _, pattern := range had {
			if !prune || slices.Contains(s.queue.Patterns, pattern) {
				continue
			}
			if _, err := conn.ExecContext(ctx, `DELETE FROM binding WHERE queue = ? AND pattern = ?`, id, pattern); err != nil {
				return fmt.Errorf("unbind %s: %w", pattern, err)
			}
		}
		s.id.Store(id)
		return topologyChanged(ctx, conn)
	}})
}

func patternsOf(ctx context.Context, conn *sql.Conn, queue int64) ([]string, error) {
	rows, err := conn.QueryContext(ctx, `SELECT pattern FROM binding WHERE queue = ?`, queue)
	if err != nil {
		return nil, fmt.Errorf("read bindings: %w", err)
	}
	var patterns []string
	err = each(rows, func() error {
		var pattern string
		err := rows.Scan(&pattern)
		patterns = append(patterns, pattern)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read bindings: %w", err)
	}
	return patterns, nil
}

func topologyChanged(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, `UPDATE bus SET topology = topology + 1`); err != nil {
		return fmt.Errorf("note the change: %w", err)
	}
	return nil
}

// remove deletes a queue and what only it was still waiting for, and the queue
// of its dead letters if there are none. A queue that the bus fills itself is
// emptied.
func (b *Bus) remove(ctx context.Context, q eventbus.Queue, id int64) error {
	statements := []string{
		`DELETE FROM message AS m WHERE m.seq IN (SELECT message FROM delivery WHERE queue = ?1)
			AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.message = m.seq AND d.queue <> ?1)`,
		`DELETE FROM delivery WHERE queue = ?1`,
	}
	if !q.Reserved() {
		statements = append(statements,
			`DELETE FROM queue WHERE owner IS NULL
				AND name = (SELECT name || '`+eventbus.DeadSuffix+`' FROM queue WHERE id = ?1)
				AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.queue = queue.id)`,
			`DELETE FROM queue WHERE id = ?1`)
	}
	return b.writer.do(ctx, &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		for _, statement := range statements {
			if _, err := conn.ExecContext(ctx, statement, id); err != nil {
				return err
			}
		}
		return topologyChanged(ctx, conn)
	}})
}
