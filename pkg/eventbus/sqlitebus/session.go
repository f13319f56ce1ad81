package sqlitebus

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orderflow/pkg/eventbus"
)

// rowsPerInsert are the sizes of the prepared multi-row inserts, largest first.
var rowsPerInsert = [...]int{64, 8, 1}

// What is done to the numbers of a batch, which are a JSON array or a range.
const (
	ackQuery        = `DELETE FROM delivery WHERE message IN (SELECT value FROM json_each(?)) AND queue = ?`
	ackRangeQuery   = `DELETE FROM delivery WHERE message BETWEEN ? AND ? AND queue = ?`
	sweepQuery      = `DELETE FROM message AS m WHERE m.seq IN (SELECT value FROM json_each(?))` + unwanted
	sweepRangeQuery = `DELETE FROM message AS m WHERE m.seq BETWEEN ? AND ?` + unwanted
	unwanted        = ` AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.message = m.seq)`
)

// session is the writer's connection with its prepared statements.
type session struct {
	conn    *sql.Conn
	insert  [len(rowsPerInsert)]*sql.Stmt
	counter *sql.Stmt // reads next_message and topology
	advance *sql.Stmt
	deliver *sql.Stmt
	note    *sql.Stmt
	turn    *sql.Stmt // of a queue

	ack, ackRange     *sql.Stmt
	sweep, sweepRange *sql.Stmt // remove messages no queue wants any more

	routes routes

	// Each statement must be closed: the driver keeps a connection open, with
	// its files, for as long as one of its statements is.
	statements []*sql.Stmt
}

func openSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{conn: conn}
	if err := s.prepare(ctx); err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

func (s *session) prepare(ctx context.Context) error {
	// The writer asks for the lock again by itself, see begin.
	if _, err := s.conn.ExecContext(ctx, `PRAGMA busy_timeout = 0`); err != nil {
		return fmt.Errorf("set busy timeout: %w", err)
	}
	for i, rows := range rowsPerInsert {
		row := "(?" + strings.Repeat(",?", messageColumns-1) + ")"
		text := `INSERT INTO message (` + messageColumnNames + `) VALUES ` + row + strings.Repeat(","+row, rows-1)
		if err := s.prepareOne(ctx, &s.insert[i], text); err != nil {
			return err
		}
	}
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&s.counter, `SELECT next_message, topology FROM bus`},
		{&s.advance, `UPDATE bus SET next_message = ?`},
		{&s.deliver, `INSERT INTO delivery (queue, message) SELECT ?, value FROM json_each(?)`},
		{&s.ack, ackQuery},
		{&s.ackRange, ackRangeQuery},
		{&s.sweep, sweepQuery},
		{&s.sweepRange, sweepRangeQuery},
		{&s.note, `UPDATE delivery SET lost = lost + 1 WHERE queue = ? AND message = ?`},
		{&s.turn, `SELECT turn FROM queue WHERE id = ?`},
	} {
		if err := s.prepareOne(ctx, p.into, p.text); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) prepareOne(ctx context.Context, into **sql.Stmt, text string) error {
	statement, err := s.conn.PrepareContext(ctx, text)
	if err != nil {
		return fmt.Errorf("prepare %.30q: %w", text, err)
	}
	*into = statement
	s.statements = append(s.statements, statement)
	return nil
}

func (s *session) close() {
	if s != nil {
		s.closeStatements()
		_ = s.conn.Close() // hands it back to the pool, which is about to be closed
	}
}

func (s *session) closeStatements() {
	for _, statement := range s.statements {
		_ = statement.Close()
	}
}

// discard closes the connection for good instead of handing it back.
func (s *session) discard() {
	s.closeStatements()
	_ = s.conn.Raw(func(any) error { return errors.Join(errDiscarded, driver.ErrBadConn) })
	_ = s.conn.Close()
}

// store writes what a group of publishes and acks asks for, within the
// transaction, and returns the queues that got something. A publish that is
// refused gets its err and leaves no trace.
func (s *session) store(ctx context.Context, group []*job) (map[int64]struct{}, error) {
	var next, topology int64
	if err := s.counter.QueryRowContext(ctx).Scan(&next, &topology); err != nil {
		return nil, fmt.Errorf("read counter: %w", err)
	}
	if err := s.routes.refresh(ctx, s.conn, topology); err != nil {
		return nil, err
	}
	first := next
	var events []eventbus.Event
	deliveries := map[int64][]int64{}
	acks := map[int64][]int64{}
	for _, j := range group {
		j.err = nil // a second attempt starts over
		switch {
		case j.ack != nil:
			acks[j.ack.queue] = append(acks[j.ack.queue], j.ack.messages...)
			if err := s.checkTurn(ctx, j.ack); err != nil {
				return nil, err
			}
			continue
		case j.note != nil:
			if _, err := s.note.ExecContext(ctx, j.note.queue, j.note.message); err != nil {
				return nil, fmt.Errorf("note message %d of queue %d: %w", j.note.message, j.note.queue, err)
			}
			continue
		}
		route, err := s.route(ctx, j)
		if err != nil {
			return nil, err
		}
		if j.err != nil {
			continue
		}
		for _, event := range j.publish {
			for _, queue := range route(event) {
				deliveries[queue] = append(deliveries[queue], next)
			}
			events = append(events, event)
			next++
		}
	}
	if err := s.insertMessages(ctx, first, events); err != nil {
		return nil, err
	}
	touched := make(map[int64]struct{}, len(deliveries))
	for queue, messages := range deliveries {
		touched[queue] = struct{}{}
		if _, err := s.deliver.ExecContext(ctx, queue, jsonList(messages)); err != nil {
			return nil, fmt.Errorf("deliver to queue %d: %w", queue, err)
		}
	}
	for queue, messages := range acks {
		if err := s.acknowledge(ctx, queue, messages); err != nil {
			return nil, err
		}
	}
	return touched, nil
}

// route tells which queues the events of a job go to. What is wrong with the job
// itself is in its err.
func (s *session) route(ctx context.Context, j *job) (to func(eventbus.Event) []int64, err error) {
	if j.to == "" {
		j.err = s.routes.check(j.publish)
		return s.routes.to, nil
	}
	id, err := queueCalled(ctx, s.conn, j.to)
	if errors.Is(err, eventbus.ErrNoQueue) {
		j.err = err
		return nil, nil
	}
	only := []int64{id}
	return func(eventbus.Event) []int64 { return only }, err
}

func (s *session) insertMessages(ctx context.Context, first int64, events []eventbus.Event) error {
	if len(events) == 0 {
		return nil
	}
	seq, rest := first, events
	args := make([]any, 0, rowsPerInsert[0]*messageColumns)
	for i, rows := range rowsPerInsert {
		for len(rest) >= rows {
			args = args[:0]
			for _, event := range rest[:rows] {
				args = appendColumns(args, seq, event)
				seq++
			}
			if _, err := s.insert[i].ExecContext(ctx, args...); err != nil {
				return fmt.Errorf("insert %d messages: %w", rows, err)
			}
			rest = rest[rows:]
		}
	}
	if _, err := s.advance.ExecContext(ctx, seq); err != nil {
		return fmt.Errorf("advance counter: %w", err)
	}
	return nil
}

// acknowledge removes handled messages from their queue, and those that no queue
// wants any more. Numbers without a gap between them, as in a queue that takes
// everything, are one range, which costs half as much as a list.
func (s *session) acknowledge(ctx context.Context, queue int64, messages []int64) error {
	first, last := messages[0], messages[len(messages)-1]
	remove, sweep, which := s.ack, s.sweep, []any{jsonList(messages)}
	if last-first == int64(len(messages)-1) && slices.IsSorted(messages) {
		remove, sweep, which = s.ackRange, s.sweepRange, []any{first, last}
	}
	if _, err := remove.ExecContext(ctx, append(which, queue)...); err != nil {
		return fmt.Errorf("acknowledge in queue %d: %w", queue, err)
	}
	if _, err := sweep.ExecContext(ctx, which...); err != nil {
		return fmt.Errorf("remove messages: %w", err)
	}
	return nil
}

// checkTurn sees whether the queue has another consumer by now. What was handled
// is acknowledged all the same.
func (s *session) checkTurn(ctx context.Context, a *ack) error {
	var turn int64
	err := s.turn.QueryRowContext(ctx, a.queue).Scan(&turn)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read turn of queue %d: %w", a.queue, err)
	}
	a.stale = turn != a.turn
	return nil
}

// jsonList lets one prepared statement take any number of values.
func jsonList(values []int64) string {
	list := make([]byte, 0, 2+9*len(values))
	list = append(list, '[')
	for i, value := range values {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, value, 10)
	}
	return string(append(list, ']'))
}
