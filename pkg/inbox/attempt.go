package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// claimed is a held event that this process is trying.
type claimed struct {
	item
	seq      int64
	attempts int   // this one included
	due      int64 // until when nobody else tries it
	reason   string
}

// errTaken says that somebody else decided about the event meanwhile: a person,
// or another instance after this one was paused for too long.
var errTaken = errors.New("the held event was taken")

// attempt tries the first held event of a subject. goOn tells that it is out of
// the way, so the next one is to be tried.
//
// The attempt is counted before it begins, so that an event which kills the
// process is parked in the end as well.
func (in *Inbox) attempt(ctx context.Context, subject string) (goOn bool, err error) {
	c, err := in.claim(ctx, subject)
	if sqldb.IsBusy(err) {
		return false, nil // another instance has the subject; it stays due
	}
	if err != nil || c == nil {
		return false, err
	}
	if c.attempts > in.options.MaxAttempts {
		return true, in.park(ctx, c, fmt.Errorf("the process died during the last attempt; before: %s", c.reason))
	}
	err = in.try(ctx, c)
	switch {
	case err == nil:
		in.counters.add(Stats{Handled: 1})
		in.handled([]item{c.item}, c.attempts)
		return true, nil
	case errors.Is(err, errTaken):
		return true, nil
	}
	switch in.judge(ctx, err) {
	case notItsFault:
		in.giveBack(ctx, c)
		return false, err
	case giveUp:
		return true, in.park(ctx, c, err)
	default:
		if c.attempts >= in.options.MaxAttempts {
			return true, in.park(ctx, c, err)
		}
		return false, in.postpone(ctx, c, err)
	}
}

// claim takes the first held event of a subject if it is due.
func (in *Inbox) claim(ctx context.Context, subject string) (*claimed, error) {
	var c *claimed
	err := in.db.Update(ctx, func(tx sqldb.Tx) error {
		c = nil
		in.dialect.lock(tx, in.consumer, []string{subject})
		found, err := in.firstHeld(ctx, tx, subject)
		now := time.Now()
		if errors.Is(err, sqldb.ErrNoRows) || (err == nil && found.due > sqldb.Micros(now)) {
			return nil
		}
		if err != nil {
			return err
		}
		found.attempts++
		// A little longer than the handler may take: then the result was noted.
		found.due = sqldb.Micros(now.Add(in.options.Timeout + in.options.Timeout/2 + time.Second))
		_, err = tx.Exec(ctx, `UPDATE inbox_held SET attempts = $1, due_at = $2 WHERE seq = $3`, found.attempts, found.due, found.seq)
		c = &found
		return err
	})
	if err != nil {
		if c != nil {
			in.giveBack(ctx, c) // it may have committed, and only the answer is lost
		}
		return nil, err
	}
	return c, nil
}

func (in *Inbox) firstHeld(ctx context.Context, tx sqldb.Tx, subject string) (claimed, error) {
	var c claimed
	var at, received int64
	e := &c.event
	err := tx.QueryRow(ctx, `SELECT seq, attempts, due_at, reason, received_at,
			id, source, type, subject, time, content_type, data, correlation_id, causation_id, trace_parent, sequence, replayed
		FROM inbox_held WHERE consumer = $1 AND subject = $2 AND status = 'held' ORDER BY seq LIMIT 1`, in.consumer, subject).
		Scan(&c.seq, &c.attempts, &c.due, &c.reason, &received,
			&e.ID, &e.Source, &e.Type, &e.Subject, &at, &e.DataContentType, &e.Data,
			&e.CorrelationID, &e.CausationID, &e.TraceParent, &e.Sequence, &e.Replayed)
	e.Time, c.received = sqldb.Time(at), sqldb.Time(received)
	return c, err
}

// try runs the handler and moves the event from the held ones to the inbox.
func (in *Inbox) try(ctx context.Context, c *claimed) error {
	h, known := in.routes.find(c.event.Type)
	if !known {
		return Park(fmt.Errorf("no handler for %s any more", c.event.Type))
	}
	c.handler = h
	if h.outside != nil {
		if err := in.call(ctx, func(ctx context.Context) error { return h.outside(ctx, c.event) }); err != nil {
			return err
		}
	}
	return in.update(ctx, func(tx sqldb.Tx) error {
		in.dialect.lock(tx, in.consumer, []string{c.event.Subject})
		// Removing comes first: it says whether the event is still ours.
		n, err := tx.Exec(ctx, `DELETE FROM inbox_held `+stillOurs, c.seq, c.attempts, c.due)
		if err != nil {
			return waited(err)
		}
		if n == 0 {
			return errTaken
		}
		if h.inside != nil {
			if _, err := in.handleTogether(ctx, tx, []item{c.item}); err != nil {
				return err
			}
		}
		in.noteOne(tx, c.item, c.attempts, outcomeHandled, c.reason)
		return nil
	})
}

// stillOurs selects the claimed row unless somebody decided about it meanwhile.
const stillOurs = `WHERE seq = $1 AND attempts = $2 AND due_at = $3 AND status = 'held'`

func (in *Inbox) settle(ctx context.Context, c *claimed, set string, args ...any) (settled bool, err error) {
	err = in.db.Update(ctx, func(tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE inbox_held SET `+set+` `+stillOurs, append([]any{c.seq, c.attempts, c.due}, args...)...)
		settled = n == 1
		if err == nil && settled {
			in.discardErased(tx, c.event.Subject) // if that has parked it
		}
		return err
	})
	return settled && err == nil, err
}

func (in *Inbox) postpone(ctx context.Context, c *claimed, reason error) error {
	now := time.Now()
	settled, err := in.settle(ctx, c, `reason = $4, failed_at = $5, due_at = $6`,
		reasonOf(reason), sqldb.Micros(now), sqldb.Micros(now.Add(in.delay(c.attempts))))
	if settled {
		in.counters.add(Stats{Failed: 1})
		in.log.WarnContext(ctx, "held event failed again", in.about(c.item, c.attempts, reasonOf(reason))...)
	}
	return err
}

func (in *Inbox) park(ctx context.Context, c *claimed, reason error) error {
	now := sqldb.Micros(time.Now())
	settled, err := in.settle(ctx, c, `status = 'parked', attempts = $4, reason = $5, failed_at = $6, parked_at = $6`,
		min(c.attempts, in.options.MaxAttempts), reasonOf(reason), now)
	if settled {
		in.counters.add(Stats{Failed: 1, Parked: 1})
		in.log.ErrorContext(ctx, "event parked", in.about(c.item, c.attempts, reasonOf(reason))...)
		in.settled([]item{c.item})
	}
	return err
}

// giveBack undoes the count of an attempt that was not the event's fault. While
// the database is away it waits for it: there is nothing else to do either.
func (in *Inbox) giveBack(ctx context.Context, c *claimed) {
	for {
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		_, err := in.settle(patient, c, `attempts = $2 - 1, due_at = $4`, sqldb.Micros(time.Now()))
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		in.report(ctx, fmt.Errorf("undo the count of an attempt: %w", err))
		in.pause(ctx, in.options.Poll, false)
	}
}
