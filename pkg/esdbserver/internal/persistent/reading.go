package persistent

import (
	"context"
	"errors"
	"math"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// maxBufferedBytes is how much content a group reads ahead.
const maxBufferedBytes = 16 << 20

// reading is how far a group's reader has come.
type reading struct {
	next       int64             // the place in the source to read next
	followed   int64             // position up to which events were taken from memory
	live       bool              // whether events are taken from memory
	nextParked int64             // the revision of the parked stream to read next
	buf        []*eventlog.Event // for events from memory
}

// resolved is an event as it is delivered: with links resolved, the target and the link. ok is false when it is not
// delivered at all.
type resolved struct {
	event, link *eventlog.Event
	ok          bool
}

// readLoop fills the queues for as long as the group runs.
func (g *group) readLoop() {
	defer g.running.Done()
	for {
		busy, wait, err := g.readSome()
		switch {
		case g.ctx.Err() != nil || errors.Is(err, eventlog.ErrClosed):
			return
		case err != nil:
			g.logger.Error("a persistent subscription cannot read", "subscription", g.definition.Key(), "error", err)
			g.mu.Lock()
			g.readFailed = true
			g.mu.Unlock()
		case busy:
			continue
		}
		select {
		case <-wait:
		case <-g.toRead:
		case <-g.ctx.Done():
			return
		}
	}
}

// readSome does what is most urgent. It returns busy when there may be more to do at once, and otherwise a channel, if
// any, that is closed when there is.
func (g *group) readSome() (busy bool, wait <-chan struct{}, err error) {
	g.mu.Lock()
	room, limit := g.room()
	lost := g.takeLost()
	replayTo := g.replayTo
	g.mu.Unlock()
	switch {
	case len(lost) > 0:
		return true, nil, g.readAgain(lost)
	case room <= 0:
		return false, nil, nil
	case g.reading.nextParked < replayTo:
		return true, nil, g.readParked(replayTo, limit)
	case g.reading.live:
		return g.follow(room)
	}
	return true, nil, g.catchUp(limit)
}

// room is how many more events may be buffered, and how many to read at a time.
func (g *group) room() (room, limit int) {
	settings := g.definition.Settings
	limit = settings.ReadBatchSize
	if g.buffered >= maxBufferedBytes {
		return 0, limit
	}
	buffered := len(g.pending) + len(g.retries)
	switch {
	case len(g.consumers) == 0:
		return limit - buffered, limit
	case g.live:
		return max(settings.LiveBufferSize, 1) - buffered, limit
	}
	// A batch is read only when all of it has room.
	return settings.HistoryBufferSize - limit + 1 - buffered, limit
}

// roomForLost is how many lost messages may be read again now: none when many wait for a consumer already.
func (g *group) roomForLost() int {
	if g.buffered >= maxBufferedBytes {
		return 0
	}
	return min(max(g.definition.Settings.ReadBatchSize-len(g.retries), 0), len(g.lost))
}

// takeLost takes some of the messages whose content is to be read again.
func (g *group) takeLost() []*message {
	n := g.roomForLost()
	if n == 0 {
		return nil
	}
	g.rereading = true
	taken := g.lost[:n:n]
	g.lost = g.lost[n:]
	return taken
}

// readAgain brings back the content of messages that were delivered before. What has gone since is done.
func (g *group) readAgain(lost []*message) error {
	defer func() {
		g.mu.Lock()
		g.rereading = false
		g.dispatch()
		g.mu.Unlock()
	}()
	for i, m := range lost {
		found, err := g.readOne(m)
		g.mu.Lock()
		switch {
		case err != nil:
			g.lost = append(lost[i:], g.lost...)
		case m.done:
		case !found.ok:
			g.finish(m)
		default:
			m.event, m.link = found.event, found.link
			g.enqueue(&g.retries, m)
		}
		g.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *group) readOne(m *message) (resolved, error) {
	page, err := g.log.ReadAll(g.ctx, m.position, false, 1)
	if err != nil || len(page.Events) == 0 || page.Events[0].Position != m.position {
		return resolved{}, err
	}
	return g.resolve(g.ctx, page.Events[0], m.replayed)
}

// resolve follows a link if the group wants that. Parked events are always followed: they are links because they are
// parked. A link to a link is a parked link, which is followed once more.
func (g *group) resolve(ctx context.Context, e *eventlog.Event, replayed bool) (resolved, error) {
	follows := g.definition.Settings.ResolveLinks
	if e.Type != eventlog.TypeLink || !follows && !replayed {
		return resolved{event: e, ok: true}, nil
	}
	target, isLink, err := g.log.Follow(ctx, e)
	switch {
	case err != nil:
		return resolved{}, err
	case !isLink:
		return resolved{event: e, ok: true}, nil
	case replayed && follows && target != nil && target.Type == eventlog.TypeLink:
		original := target
		if target, isLink, err = g.log.Follow(ctx, original); err != nil {
			return resolved{}, err
		}
		if !isLink {
			target = original
		}
	}
	return resolved{event: target, link: e, ok: target != nil}, nil
}

// catchUp reads a batch of what the log holds.
func (g *group) catchUp(limit int) error {
	r := &g.reading
	if r.followed < 0 {
		// Taken before anything is read: whatever is committed later is found behind it.
		r.followed = g.log.LastPosition()
	}
	events, more, err := g.readSource(limit)
	if err != nil {
		return err
	}
	if err := g.takeIn(events); err != nil {
		return err
	}
	if !more {
		g.setLive(true)
	}
	return nil
}

func (g *group) readSource(limit int) (events []*eventlog.Event, more bool, err error) {
	next := g.reading.next
	if next == math.MaxInt64 {
		return nil, false, nil
	}
	if g.definition.Stream == All {
		page, err := g.log.ReadAll(g.ctx, next, false, int64(limit))
		return page.Events, page.More, err
	}
	page, err := g.log.ReadStream(g.ctx, g.definition.Stream, next, false, int64(limit))
	if err != nil || page.Stream.Tombstoned() {
		return nil, false, err // what a tombstoned stream held is gone
	}
	return page.Events, page.More, nil
}

// follow takes new events from memory. When the group has been too slow for that it goes back to reading the log.
func (g *group) follow(room int) (busy bool, wait <-chan struct{}, err error) {
	r := &g.reading
	if cap(r.buf) == 0 {
		r.buf = make([]*eventlog.Event, 0, 128)
	}
	events, wait, ok := g.log.After(r.followed, r.buf[:0:min(cap(r.buf), room)])
	if !ok {
		r.followed = -1
		g.setLive(false)
		return true, nil, nil
	}
	if len(events) == 0 {
		return false, wait, nil
	}
	last := events[len(events)-1].Position
	defer clear(events)
	if g.definition.Stream != All {
		own := events[:0]
		for _, e := range events {
			if e.Stream == g.definition.Stream && e.Revision >= r.next {
				own = append(own, e)
			}
		}
		events = own
	}
	if err := g.takeIn(events); err != nil {
		return false, nil, err
	}
	r.followed = last
	return true, nil, nil
}

// takeIn makes messages of events of the source, in order. Events before the place to read next were taken in before.
func (g *group) takeIn(events []*eventlog.Event) error {
	all := g.definition.Stream == All
	for _, e := range events {
		place := g.definition.place(e)
		if place < g.reading.next {
			continue
		}
		hidden := all && eventlog.HiddenFromAll(e)
		var found resolved
		if !hidden && g.definition.Filter.Matches(e) {
			var err error
			if found, err = g.resolve(g.ctx, e, false); err != nil {
				return err
			}
		}
		g.mu.Lock()
		if found.ok {
			m := g.newMessage(e, found)
			g.backlog.add(place, m)
			g.enqueue(&g.pending, m)
			g.dispatch()
		} else {
			g.backlog.pass(place, !hidden)
		}
		g.mu.Unlock()
		g.reading.next = max(place, place+1) // a tombstone has the last number there is
	}
	return nil
}

func (g *group) setLive(live bool) {
	g.reading.live = live
	g.mu.Lock()
	g.live = live
	g.mu.Unlock()
}
