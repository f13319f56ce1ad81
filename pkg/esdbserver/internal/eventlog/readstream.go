package eventlog

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
)

// A page of events holds at most so many, and stops early behind this many bytes. A subscriber that does not read keeps
// the page it was being sent, so that with a thousand of them this times a thousand is what they cost.
const (
	pageEvents = 256
	pageBytes  = 256 << 10
)

// Stream is the state of a stream at some moment.
type Stream struct {
	Name string
	Last int64 // revision of the last event, -1 when there is none, TombstoneRevision when tombstoned

	id       int64
	settings settings
}

// Tombstoned reports whether the stream has ended for good.
func (s *Stream) Tombstoned() bool { return s.Last == TombstoneRevision }

// Found reports whether the stream has events and is not deleted.
func (s *Stream) Found() bool { return s.Last >= 0 && !s.settings.softDeleted() }

// Stream looks up a stream. A stream nobody has written to is found not to exist; that is no error.
func (l *Log) Stream(ctx context.Context, name string) (*Stream, error) {
	var s *Stream
	err := l.read(ctx, func(c *conn) (err error) {
		s, err = loadStream(c, name)
		return err
	})
	return s, err
}

func loadStream(c *conn, name string) (*Stream, error) {
	s := &Stream{Name: name}
	var err error
	if s.id, s.Last, err = loadHead(c, name); err != nil {
		return nil, err
	}
	if s.settings, err = loadSettings(c, name); err != nil {
		return nil, err
	}
	if IsMetastream(name) {
		// The metadata of a tombstoned stream is gone with it.
		_, last, err := loadHead(c, originalOf(name))
		if err != nil {
			return nil, err
		}
		if last == TombstoneRevision {
			s.Last = TombstoneRevision
		}
	}
	return s, nil
}

// Page is a part of a stream.
type Page struct {
	Stream *Stream // as it was when the page was read
	Events []*Event
	More   bool // whether reading on from Next may show more
	Next   int64
}

// ReadStream reads visible events of a stream: forwards from revision from on, or backwards from it, the event at from
// included. It reads at most limit events and returns what fits a page. What the stream's metadata hides (truncation,
// count, age) is skipped. Reading a tombstoned stream shows its events with the tombstone as the last: whether that is
// allowed is the caller's decision.
func (l *Log) ReadStream(ctx context.Context, name string, from int64, backwards bool, limit int64) (page Page, err error) {
	err = l.read(ctx, func(c *conn) error {
		if page.Stream, err = loadStream(c, name); err != nil {
			return err
		}
		err = l.readStreamPage(c, &page, from, backwards, min(limit, pageEvents))
		return err
	})
	return page, err
}

func (l *Log) readStreamPage(c *conn, page *Page, from int64, backwards bool, limit int64) error {
	s := page.Stream
	oldest := int64(math.MinInt64)
	if s.settings.maxAge > 0 {
		oldest = ticks(l.options.Now().Add(-s.settings.maxAge))
	}
	query, low, high := sqlStreamForwards, max(from, s.settings.lowestVisible(s.Last)), int64(math.MaxInt64)
	if backwards {
		query, low, high = sqlStreamBackwards, s.settings.lowestVisible(s.Last), min(from, s.Last)
	}
	if low > high || limit <= 0 {
		return nil
	}
	var err error
	if page.Events, page.More, err = readRows(c, s.Name, query, limit, s.id, low, high, oldest, limit); err != nil {
		return fmt.Errorf("read %s: %w", s.Name, err)
	}
	if err := s.checkOrder(page, low, high, backwards); err != nil {
		return err
	}
	if s.settings.maxAge == 0 {
		if err := s.checkDense(page, low, high, backwards); err != nil {
			return err
		}
	}
	if n := len(page.Events); n > 0 {
		last := page.Events[n-1].Revision
		if backwards {
			page.Next, page.More = last-1, page.More && last > 0
		} else {
			page.Next, page.More = last+1, page.More && last != TombstoneRevision
		}
	}
	return nil
}

// Event returns the visible event of a stream at a revision, or nil when there is none.
func (l *Log) Event(ctx context.Context, stream string, revision int64) (*Event, error) {
	page, err := l.ReadStream(ctx, stream, revision, false, 1)
	if err != nil || page.Stream.Tombstoned() || len(page.Events) == 0 || page.Events[0].Revision != revision {
		return nil, err
	}
	return page.Events[0], nil
}

// readRows runs a query for the columns of events, followed by the stream's name when stream is empty, and reads a page. It
// stops at the size of a page; more reports whether limit or size ended it rather than the rows. What lies before a row
// that cannot be read is a page like others: the error comes when somebody reads on.
func readRows(c *conn, stream, query string, limit int64, args ...any) (events []*Event, more bool, err error) {
	rows, err := c.query(query, args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.close()
	bytes := 0
	var before *Event
	for rows.next() {
		e := &Event{Stream: stream}
		if err := e.parseRow(rows.values, before); err != nil {
			return events, len(events) > 0, unlessBehind(events, err)
		}
		events, before = append(events, e), e
		if bytes += e.footprint(); bytes > pageBytes {
			return events, true, nil
		}
	}
	if rows.err != nil {
		return events, len(events) > 0, unlessBehind(events, rows.err)
	}
	return events, int64(len(events)) == limit, nil
}

// unlessBehind drops an error that will be met again behind these events.
func unlessBehind(events []*Event, err error) error {
	if len(events) > 0 {
		return nil
	}
	return err
}

// parseRow fills an event from a row of eventColumns, and of its stream's name where that is not known.
func (e *Event) parseRow(row []driver.Value, before *Event) error {
	position, isPosition := row[0].(int64)
	revision, isRevision := row[1].(int64)
	created, isCreated := row[2].(int64)
	record, isRecord := row[3].([]byte)
	named := true
	if e.Stream == "" {
		var name []byte
		if name, named = row[4].([]byte); named && before != nil && before.Stream == string(name) {
			e.Stream = before.Stream
		} else {
			e.Stream = string(name)
		}
	}
	if !isPosition || !isRevision || !isCreated || !isRecord || !named {
		return fmt.Errorf("%w: an event is no event: %T, %T, %T, %T", ErrDamaged, row[0], row[1], row[2], row[3])
	}
	e.Position, e.Revision, e.Created = position, revision, created
	return e.parseRecord(record, before)
}
