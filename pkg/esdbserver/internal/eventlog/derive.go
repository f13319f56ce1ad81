package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// ErrDerivedElsewhere is returned when what was derived is not based on what is stored: an earlier attempt, whose answer
// was lost, was committed after all.
var ErrDerivedElsewhere = errors.New("the derived events were written already")

// A follower's mark is the position up to which what it derives from the log is in the log too. The table is made when
// the first follower writes: a log that never had one has none.
const (
	sqlCreateMarks = `CREATE TABLE IF NOT EXISTS follower_mark (follower TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID`
	sqlHasMarks    = `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'follower_mark')`
	sqlMark        = `SELECT coalesce(max(position), 0) FROM follower_mark WHERE follower = ?`
	sqlSetMark     = `INSERT INTO follower_mark (follower, position) VALUES (?, ?)
		ON CONFLICT (follower) DO UPDATE SET position = excluded.position`
)

// Derived are events that follow from others, for one stream.
type Derived struct {
	Stream string
	Events []Proposed
}

// Mark is the position that a follower has come to, 0 when it has never written.
func (l *Log) Mark(ctx context.Context, follower string) (position int64, err error) {
	err = l.read(ctx, func(c *conn) error {
		var exists bool
		if err := c.queryRow([]any{&exists}, sqlHasMarks); err != nil || !exists {
			return err
		}
		return c.queryRow([]any{&position}, sqlMark, follower)
	})
	if err != nil {
		return 0, fmt.Errorf("mark of %s: %w", follower, err)
	}
	return position, nil
}

// AppendDerived writes the events that a follower derives from those behind position from up to position to, and moves
// its mark from the one to the other, all or nothing. It fails with ErrDerivedElsewhere when the mark is not at from.
// Events for a stream that was tombstoned are left out. When nothing is left the mark stays: deriving nothing once more
// is harmless. It returns where the mark then is, which is the from of the next time.
func (l *Log) AppendDerived(ctx context.Context, follower string, from, to int64, derived []Derived) (mark int64, err error) {
	size := 0
	for _, d := range derived {
		size += payload(d.Events)
	}
	answer, err := l.submit(ctx, size, func(b *batch) (answer Appended, refusal, failure error) {
		answer.Position, refusal, failure = b.appendDerived(follower, from, to, derived)
		return answer, refusal, failure
	})
	return answer.Position, err
}

func (b *batch) appendDerived(follower string, from, to int64, derived []Derived) (mark int64, refusal, failure error) {
	if _, err := b.c.exec(sqlCreateMarks); err != nil {
		return 0, nil, fmt.Errorf("make the table of marks: %w", err)
	}
	if err := b.c.queryRow([]any{&mark}, sqlMark, follower); err != nil {
		return 0, nil, fmt.Errorf("mark of %s: %w", follower, err)
	}
	if mark != from {
		return mark, ErrDerivedElsewhere, nil
	}
	now, written := ticks(b.log.options.Now()), false
	for _, d := range derived {
		h, err := b.head(d.Stream)
		if err != nil {
			return mark, nil, err
		}
		if h.last == TombstoneRevision {
			continue
		}
		first := h.last + 1
		for _, e := range d.Events {
			if err := b.store(h, h.last+1, now, e); err != nil {
				return mark, nil, err
			}
		}
		if h.meta.softDeleted() {
			if err := b.undelete(h, first, now); err != nil {
				return mark, nil, err
			}
		}
		written = true
	}
	if !written {
		return mark, nil, nil
	}
	if _, err := b.c.exec(sqlSetMark, follower, to); err != nil {
		return mark, nil, fmt.Errorf("mark of %s: %w", follower, err)
	}
	return to, nil, nil
}

// Page reads on behind position as a follower does: from memory where the events are still there, else from the log.
// When there is nothing it waits until there is or ctx ends.
func (l *Log) Page(ctx context.Context, position int64, buf []*Event) ([]*Event, error) {
	for {
		events, wait, ok := l.After(position, buf)
		if !ok {
			page, err := l.ReadAll(ctx, position+1, false, math.MaxInt64)
			return page.Events, err
		}
		if wait == nil {
			return events, nil
		}
		select {
		case <-wait:
		case <-l.closing:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
