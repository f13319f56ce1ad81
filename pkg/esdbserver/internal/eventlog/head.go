package eventlog

import (
	"errors"
	"fmt"
)

// head is what the writer knows about a stream.
type head struct {
	name string
	id   int64 // 0 as long as the stream has no row
	last int64 // revision of the last event, -1 when there is none, TombstoneRevision when tombstoned
	meta settings
}

// head loads a stream's state, from memory where it is known. The state is that inside the running transaction.
func (b *batch) head(name string) (*head, error) {
	if h, ok := b.log.heads.get(name); ok {
		return h, nil
	}
	h := &head{name: name}
	var err error
	if h.id, h.last, err = loadHead(b.c, name); err != nil {
		return nil, err
	}
	if h.meta, err = loadSettings(b.c, name); err != nil {
		return nil, err
	}
	b.log.heads.put(name, h)
	return h, nil
}

// loadHead reads a stream's key and last revision; a stream that has no row has key 0 and revision -1.
func loadHead(c *conn, name string) (id, last int64, err error) {
	var revision *int64
	err = c.queryRow([]any{&id, &revision}, sqlHead, []byte(name))
	if errors.Is(err, errNoRow) {
		return 0, -1, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("head of %s: %w", name, err)
	}
	if revision == nil {
		// A stream gets its row together with its first event.
		return 0, 0, fmt.Errorf("%w: stream %q has no events", ErrDamaged, name)
	}
	return id, *revision, nil
}

// insert writes one event of a client with the given revision at the next position, and remembers its id.
func (b *batch) insert(h *head, revision, created int64, p Proposed) error {
	if err := b.store(h, revision, created, p); err != nil {
		return err
	}
	b.log.recent.put(recentID{h.id, p.ID}, revision)
	return nil
}

// store writes one event.
func (b *batch) store(h *head, revision, created int64, p Proposed) error {
	if h.id == 0 {
		result, err := b.c.exec(sqlInsertStream, []byte(h.name))
		if err != nil {
			return fmt.Errorf("add stream %s: %w", h.name, err)
		}
		if h.id, err = result.LastInsertId(); err != nil {
			return fmt.Errorf("add stream %s: %w", h.name, err)
		}
	}
	previous := b.lastPosition()
	b.log.position += p.extent(h.name)
	e := &Event{
		Position: b.log.position, previous: previous, Revision: revision, Stream: h.name, Created: created,
		ID: p.ID, Type: p.Type, JSON: p.JSON, Data: notNil(p.Data), Metadata: notNil(p.Metadata),
	}
	b.record = e.appendRecord(b.record[:0])
	if _, err := b.c.exec(sqlInsertEvent, e.Position, h.id, e.Revision, e.Created, b.record); err != nil {
		return fmt.Errorf("insert event %d of %s: %w", revision, h.name, err)
	}
	h.last = revision
	b.written = append(b.written, e)
	return nil
}

// lastPosition is the position of the last event, of this transaction or before it.
func (b *batch) lastPosition() int64 {
	if n := len(b.written); n > 0 {
		return b.written[n-1].Position
	}
	return b.log.LastPosition()
}

// notNil spares the database a NULL: an absent payload is an empty one.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
