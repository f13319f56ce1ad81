package sqlitebus

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"orderflow/pkg/eventbus"
)

// lostLimit is how many consumers may be lost, one after the other, while they
// have a message alone, before it becomes a dead letter. Like the delivery limit
// on the other bus it lies far above what any service tries by itself.
const lostLimit = 100

const suspectsQuery = `SELECT coalesce(max(message), 0) FROM
	(SELECT message FROM delivery WHERE queue = ? ORDER BY message LIMIT ?)`

// suspects are the messages that a lost consumer may have had in its hands: the
// oldest of its queue, since it got them in order, and at most so many batches
// of them. They are all handed out one at a time from then on, and only to have
// one of those alone counts: so one that ends its consumer again and again is
// found without the others around it being blamed.
func suspects(ctx context.Context, conn *sql.Conn, queue, batch int64) (last int64, err error) {
	if batch == 0 {
		batch = 1000 // the most there is: a version that did not say has taken it
	}
	err = conn.QueryRowContext(ctx, suspectsQuery, queue, batch*(maxAcking+1)).Scan(&last)
	if err != nil {
		return 0, fmt.Errorf("find what was handed out: %w", err)
	}
	return last, nil
}

// mayHand prepares to hand out a batch. A suspect, which is alone in its batch,
// is counted on the disk before the handler sees it; the count goes with the
// message when it is acknowledged, or is taken back when the consumer lets go of
// the queue. What is left are the consumers that did neither. A handler that
// fails keeps its batch, and is not counted. mayHand reports false when the
// message has become a dead letter.
func (s *subscription) mayHand(b batch) (bool, error) {
	first := b.messages[0]
	if first > s.single {
		return true, nil
	}
	if b.lost >= int64(s.bus.lostLimit) {
		return false, s.bury(first, fmt.Sprintf("%d consumers were lost while they handled it", b.lost))
	}
	s.risked = first
	return true, s.bus.writer.finish(context.Background(), &job{note: &note{queue: s.id.Load(), message: first}})
}

// bury moves a message to the end of the queue of dead letters. There it gets a
// new number, because a consumer of that queue may be past the old one.
func (s *subscription) bury(message int64, why string) error {
	ctx := context.Background()
	queue, dead := s.id.Load(), s.queue.Name+eventbus.DeadSuffix
	columns := strings.TrimPrefix(messageColumnNames, "seq,")
	var id, typ string
	err := s.bus.writer.finish(ctx, &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		if err := conn.QueryRowContext(ctx, `SELECT id, type FROM message WHERE seq = ?`, message).Scan(&id, &typ); err != nil {
			return err
		}
		for _, step := range []struct {
			statement string
			args      []any
		}{
			{`INSERT INTO queue (name) VALUES (?) ON CONFLICT DO NOTHING`, []any{dead}},
			{`INSERT INTO message (seq, ` + columns + `) SELECT next_message, ` + columns + ` FROM message, bus WHERE seq = ?`, []any{message}},
			{`INSERT INTO delivery (queue, message) SELECT id, next_message FROM queue, bus WHERE name = ?`, []any{dead}},
			{`UPDATE bus SET next_message = next_message + 1`, nil},
			{`DELETE FROM delivery WHERE queue = ? AND message = ?`, []any{queue, message}},
			{`DELETE FROM message WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = ?1)`, []any{message}},
		} {
			if _, err := conn.ExecContext(ctx, step.statement, step.args...); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("move message %d to %s: %w", message, dead, err)
	}
	s.bus.log.ErrorContext(ctx, "dead letter", "queue", s.queue.Name, "reason", why, "type", typ, "id", id)
	return nil
}
