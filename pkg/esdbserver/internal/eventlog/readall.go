package eventlog

import (
	"context"
	"fmt"
)

// AllPage is a part of the whole log.
type AllPage struct {
	Events []*Event
	More   bool
	Next   int64 // where to read on in the same direction
}

// ReadAll reads events of all streams in the order of their positions: forwards from position from on, the event at from
// included, or backwards, events strictly before from. It shows everything that was ever written, deleted or not.
func (l *Log) ReadAll(ctx context.Context, from int64, backwards bool, limit int64) (page AllPage, err error) {
	last := l.LastPosition()
	err = l.read(ctx, func(c *conn) error {
		page, err = readAllPage(c, from, backwards, min(limit, pageEvents), last)
		return err
	})
	return page, err
}

// readAllPage reads a page of a log whose last event lies at position last or behind it.
func readAllPage(c *conn, from int64, backwards bool, limit, last int64) (page AllPage, err error) {
	query := sqlAllForwards
	if backwards {
		query = sqlAllBackwards
	}
	if page.Events, page.More, err = readRows(c, "", query, limit, from, limit); err != nil {
		return page, fmt.Errorf("read all from %d: %w", from, err)
	}
	if err := checkWhole(c, page, from, backwards, last); err != nil {
		return AllPage{}, fmt.Errorf("read all from %d: %w", from, err)
	}
	if n := len(page.Events); n > 0 {
		page.Next = page.Events[n-1].Position
		if !backwards {
			page.Next++
		}
	}
	return page, nil
}

// CheckPosition returns ErrInvalidPosition unless an event lies at position, or nothing lies behind it: a position once
// handed out is always valid, and one beyond the end is that of events yet to come. 0 is before everything.
func (l *Log) CheckPosition(ctx context.Context, position int64) error {
	if position == 0 || position >= l.LastPosition() {
		return nil
	}
	return l.read(ctx, func(c *conn) error {
		var exists bool
		if err := c.queryRow([]any{&exists}, sqlHasPosition, position); err != nil {
			return fmt.Errorf("look up position %d: %w", position, err)
		}
		if !exists {
			return ErrInvalidPosition
		}
		return nil
	})
}
