package inbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// The reasons why a person's decision cannot be carried out.
var (
	// ErrNotHeld says that no event with the id is held or parked: it never
	// was, or it was dealt with meanwhile.
	ErrNotHeld = errors.New("no held or parked event has this id")
	// ErrMalformed says that an event is no valid envelope and cannot be
	// handled, however often it is tried: it can be discarded.
	ErrMalformed = errors.New("not a valid event: it can only be discarded")
	// ErrBadCursor says that a cursor did not come from [Inbox.DeadLetters].
	ErrBadCursor = errors.New("bad cursor")
)

// DeadLetter is an event that was not handled so far.
type DeadLetter struct {
	Event eventbus.Event
	// Status is "held" while it is tried again, "parked" when that is over.
	Status string
	// Attempts is how often it was tried; 0 for one that waits behind another.
	Attempts int
	// Reason is why the last attempt failed.
	Reason string
	// Malformed says that it is no valid envelope.
	Malformed  bool
	ReceivedAt time.Time
	FailedAt   time.Time // the last attempt; zero when there was none
	DueAt      time.Time // the next attempt; zero when it is not planned
	ParkedAt   time.Time // zero while it is held

	seq int64
}

// DeadLetters returns a page of the held and the parked events, newest first,
// at most limit of them. cursor is empty for the first page and next of the
// page before for the others; next is empty on the last page.
func (in *Inbox) DeadLetters(ctx context.Context, cursor string, limit int) (page []DeadLetter, next string, err error) {
	below := int64(math.MaxInt64)
	if cursor != "" {
		if below, err = strconv.ParseInt(cursor, 10, 64); err != nil || below <= 0 {
			return nil, "", ErrBadCursor
		}
	}
	page, err = in.deadLetters(ctx, in.db, `AND seq < $2 ORDER BY seq DESC LIMIT $3`, below, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list what inbox %s holds: %w", in.consumer, err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = strconv.FormatInt(page[limit-1].seq, 10)
	}
	return page, next, nil
}

// DeadLetter returns one held or parked event by the id of the event, or
// [ErrNotHeld].
func (in *Inbox) DeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	letter, err := in.deadLetter(ctx, in.db, id)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("read %s from inbox %s: %w", id, in.consumer, err)
	}
	return letter, nil
}

// Redrive has a held or parked event tried again at once, with its attempts
// counted from zero; while it is held, later ones of its subject wait for it.
// Those that were handled while it was parked stay so: it arrives late.
func (in *Inbox) Redrive(ctx context.Context, id string) error {
	err := in.decide(ctx, id, func(tx sqldb.Tx, letter DeadLetter) error {
		if letter.Malformed {
			return ErrMalformed
		}
		_, err := tx.Exec(ctx, `UPDATE inbox_held SET status = 'held', attempts = 0, due_at = 0, parked_at = NULL WHERE seq = $1`, letter.seq)
		return err
	})
	if err != nil {
		return fmt.Errorf("redrive %s in inbox %s: %w", id, in.consumer, err)
	}
	return nil
}

// Discard gives up an event that is held or parked: it has no effect, and is
// recognised as done should it come again.
func (in *Inbox) Discard(ctx context.Context, id string) error {
	err := in.decide(ctx, id, func(tx sqldb.Tx, letter DeadLetter) error {
		if _, err := tx.Exec(ctx, `DELETE FROM inbox_held WHERE seq = $1`, letter.seq); err != nil {
			return err
		}
		discarded := item{event: letter.Event, received: letter.ReceivedAt}
		in.noteOne(tx, discarded, letter.Attempts, outcomeDiscarded, letter.Reason)
		tx.AfterCommit(func() { in.settled([]item{discarded}) })
		return nil
	})
	if err != nil {
		return fmt.Errorf("discard %s in inbox %s: %w", id, in.consumer, err)
	}
	return nil
}

// decide carries out a person's decision about one event.
func (in *Inbox) decide(ctx context.Context, id string, how func(sqldb.Tx, DeadLetter) error) error {
	return in.db.Update(ctx, func(tx sqldb.Tx) error {
		letter, err := in.deadLetter(ctx, tx, id)
		if err != nil {
			return err
		}
		in.dialect.lock(tx, in.consumer, []string{letter.Event.Subject})
		// What was read before the lock may be handled by now.
		if letter, err = in.deadLetter(ctx, tx, id); err != nil {
			return err
		}
		tx.AfterCommit(in.wakeUp)
		return how(tx, letter)
	})
}

func (in *Inbox) deadLetter(ctx context.Context, q sqldb.Querier, id string) (DeadLetter, error) {
	found, err := in.deadLetters(ctx, q, `AND id = $2 ORDER BY seq LIMIT 1`, id)
	if err != nil {
		return DeadLetter{}, err
	}
	if len(found) == 0 {
		return DeadLetter{}, ErrNotHeld
	}
	return found[0], nil
}

func (in *Inbox) deadLetters(ctx context.Context, q sqldb.Querier, which string, args ...any) ([]DeadLetter, error) {
	rows, err := q.Query(ctx, `SELECT seq, id, source, type, subject, time, content_type, data, correlation_id, causation_id,
			trace_parent, sequence, replayed, status, attempts, reason, malformed, received_at, failed_at, due_at, parked_at
		FROM inbox_held WHERE consumer = $1 `+which, append([]any{in.consumer}, args...)...)
	if err != nil {
		return nil, err
	}
	return sqldb.Collect(rows, scanDeadLetter)
}

func scanDeadLetter(row sqldb.Row) (DeadLetter, error) {
	var d DeadLetter
	var at, receivedAt, dueAt int64
	var failedAt, parkedAt *int64
	e := &d.Event
	err := row.Scan(&d.seq, &e.ID, &e.Source, &e.Type, &e.Subject, &at, &e.DataContentType, &e.Data, &e.CorrelationID, &e.CausationID,
		&e.TraceParent, &e.Sequence, &e.Replayed, &d.Status, &d.Attempts, &d.Reason, &d.Malformed, &receivedAt, &failedAt, &dueAt, &parkedAt)
	if err != nil {
		return DeadLetter{}, err
	}
	e.Time, d.ReceivedAt = sqldb.Time(at), sqldb.Time(receivedAt)
	if failedAt != nil {
		d.FailedAt = sqldb.Time(*failedAt)
	}
	if d.Status == statusHeld && dueAt != 0 {
		d.DueAt = sqldb.Time(dueAt)
	}
	if parkedAt != nil {
		d.ParkedAt = sqldb.Time(*parkedAt)
	}
	return d, nil
}
