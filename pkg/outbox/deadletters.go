package outbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"orderflow/pkg/sqldb"
)

// ErrNotParked says that no parked event has the id: it was never there, or
// somebody else dealt with it.
var ErrNotParked = errors.New("no parked event has this id")

// ErrBadCursor says that a cursor did not come from [Outbox.DeadLetters].
var ErrBadCursor = errors.New("bad cursor")

// DeadLetters returns a page of parked events, newest first, at most limit of
// them. cursor is empty for the first page and next of the page before for the
// others; next is empty on the last page.
func (o *Outbox) DeadLetters(ctx context.Context, cursor string, limit int) (page []Published, next string, err error) {
	below := int64(math.MaxInt64)
	if cursor != "" {
		if below, err = strconv.ParseInt(cursor, 10, 64); err != nil || below <= 0 {
			return nil, "", ErrBadCursor
		}
	}
	page, err = o.published(ctx, `WHERE parked_at IS NOT NULL AND seq < $1 ORDER BY seq DESC LIMIT $2`, below, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list the parked events of the outbox: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = strconv.FormatInt(page[limit-1].seq, 10)
	}
	return page, next, nil
}

// DeadLetter returns one parked event, or [ErrNotParked].
func (o *Outbox) DeadLetter(ctx context.Context, id string) (Published, error) {
	found, err := o.published(ctx, `WHERE parked_at IS NOT NULL AND id = $1`, id)
	if err != nil {
		return Published{}, fmt.Errorf("read parked event %s of the outbox: %w", id, err)
	}
	if len(found) == 0 {
		return Published{}, ErrNotParked
	}
	return found[0], nil
}

// Redrive gives a parked event to the bus again, before everything that was
// added later and is still waiting. What was sent meanwhile stays sent: the
// event arrives late.
func (o *Outbox) Redrive(ctx context.Context, id string) error {
	err := o.decide(ctx, `UPDATE outbox SET parked_at = NULL, reason = NULL WHERE parked_at IS NOT NULL AND id = $1`, id)
	if err != nil {
		return fmt.Errorf("redrive %s from the outbox: %w", id, err)
	}
	return nil
}

// Discard removes a parked event for good: nobody will hear of it.
func (o *Outbox) Discard(ctx context.Context, id string) error {
	if err := o.decide(ctx, `DELETE FROM outbox WHERE parked_at IS NOT NULL AND id = $1`, id); err != nil {
		return fmt.Errorf("discard %s from the outbox: %w", id, err)
	}
	return nil
}

func (o *Outbox) decide(ctx context.Context, statement, id string) error {
	return o.db.Update(ctx, func(tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, statement, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotParked
		}
		tx.AfterCommit(o.wakeUp)
		return nil
	})
}
