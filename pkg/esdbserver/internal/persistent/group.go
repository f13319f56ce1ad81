package persistent

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// group is a running subscription. Two goroutines work for it: one reads events and puts them into the queues (reading.go),
// one writes what must be durable (writing.go). Everything else happens in calls of consumers and of the clock.
type group struct {
	definition Definition
	log        *eventlog.Log
	now        func() time.Time
	logger     *slog.Logger

	ctx     context.Context // ends with the group
	cancel  context.CancelFunc
	running sync.WaitGroup
	toRead  signal // there may be something to read, or room for it
	toWrite signal // there may be something to write

	reading   reading // belongs to the goroutine that reads
	attempted int     // how many links an append had that was not answered; belongs to the goroutine that writes

	// What follows is guarded by mu.
	mu           sync.Mutex
	ended        error // why it has ended; nil while it runs
	consumers    []*Consumer
	nextConsumer uint64
	strategy     strategy
	meter        meter

	pending  []*message // read and never delivered
	retries  []*message // to be delivered again, and replayed ones
	lost     []*message // to be read again first
	buffered int        // bytes of content in pending and retries
	// rereading is whether some lost messages are with the reader.
	rereading bool

	backlog  backlog                  // of the source
	parked   backlog                  // of the parked stream, as far as it is being replayed
	known    map[uuid.UUID][]*message // delivered and not done, by the id that acknowledgements name
	live     bool                     // whether the reader keeps up with the log
	replayTo int64                    // the revision of the parked stream before which to replay

	parking    []*message
	checkpoint checkpoint
	truncated  int64 // events of the parked stream below this revision have gone
	readFailed bool  // try again when the clock is looked at
	saveFailed bool
}

// signal wakes a goroutine; signals that come before it looks are one.
type signal chan struct{}

func (s signal) send() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// maxParking is how many events may wait to be parked before no more are delivered.
const maxParking = 1000

// newMessage makes a message of an event that was resolved.
func (g *group) newMessage(original *eventlog.Event, resolved resolved) *message {
	m := &message{
		id: original.ID, position: original.Position, stream: original.Stream, revision: original.Revision,
		event: resolved.event, link: resolved.link, pin: pinOf(g.definition.Settings.Strategy, resolved.event),
	}
	return m
}

// enqueue puts a message into a queue and counts its content.
func (g *group) enqueue(queue *[]*message, m *message) {
	*queue = append(*queue, m)
	g.buffered += m.size()
}

// dispatch gives consumers what they have room for: events that are due again first, also those whose content is just
// being read.
func (g *group) dispatch() {
	if len(g.parking) < maxParking && g.ended == nil {
		before := len(g.retries) + len(g.pending)
		g.retries = g.dispatchFrom(g.retries)
		if !g.rereading && g.roomForLost() == 0 {
			g.pending = g.dispatchFrom(g.pending)
		}
		if len(g.retries)+len(g.pending) < before {
			g.toRead.send()
		}
	}
}

// dispatchFrom returns what is left of a queue. A message that has to wait for its consumer does not hold up others.
func (g *group) dispatchFrom(queue []*message) []*message {
	waiting := 0 // messages, moved to the front
	for i, m := range queue {
		if m.done {
			g.buffered -= m.size()
			queue[i] = nil
			continue
		}
		if !slices.ContainsFunc(g.consumers, (*Consumer).available) {
			if waiting == 0 {
				return queue[i:]
			}
			return slices.Delete(queue, waiting, i)
		}
		queue[i] = nil
		if c := g.strategy.choose(m); c != nil {
			g.deliver(m, c)
			continue
		}
		queue[waiting] = m
		waiting++
	}
	return queue[:waiting]
}

func (g *group) deliver(m *message, c *Consumer) {
	size := m.size()
	g.buffered -= size
	if !m.known {
		m.known = true
		g.known[m.id] = append(g.known[m.id], m)
	}
	m.holder, m.since = c, g.now()
	c.inFlight[m] = struct{}{}
	c.outbox = append(c.outbox, outgoing{message: m, retries: m.retries, size: size})
	c.queuedBytes += size
	signal(c.wake).send()
}

// named finds the message that a consumer means by an id: one that it has rather than one of another's.
func (g *group) named(id uuid.UUID, c *Consumer) *message {
	messages := g.known[id]
	for _, m := range messages {
		if m.holder == c {
			return m
		}
	}
	if len(messages) > 0 {
		return messages[0]
	}
	return nil
}

// release takes a message from its consumer.
func (g *group) release(m *message) {
	if m.holder != nil {
		delete(m.holder.inFlight, m)
		m.holder = nil
	}
}

// forget makes a message unknown to acknowledgements.
func (g *group) forget(m *message) {
	rest := slices.DeleteFunc(g.known[m.id], func(other *message) bool { return other == m })
	if g.known[m.id] = rest; len(rest) == 0 {
		delete(g.known, m.id)
	}
	m.known = false
}

// finish is the end of a message: it needs no delivery any more.
func (g *group) finish(m *message) {
	g.release(m)
	g.forget(m)
	m.done = true
	g.meter.done(0)
	if m.replayed {
		if g.parked.remove(m); g.parked.empty() {
			g.toWrite.send()
		}
		return
	}
	g.backlog.remove(m)
	if g.checkpoint.behind(g.backlog.done()) >= int64(max(g.definition.Settings.MaxCheckpointCount, 1)) {
		g.checkpoint.wanted = true
		g.toWrite.send()
	}
}

// redeliver takes a message from its consumer and has it delivered again, or parked when that was done often enough.
func (g *group) redeliver(m *message) {
	limit := g.definition.Settings.MaxRetryCount
	if m.retries >= limit {
		g.park(m, fmt.Sprintf("Reached retry count of %d", limit), Peer{})
		return
	}
	g.release(m)
	m.retries++
	if m.event != nil {
		g.enqueue(&g.retries, m) // it never left
		return
	}
	g.lost = append(g.lost, m)
	g.toRead.send()
}

// park takes a message from its consumer for good. It is done when the link to it is durable.
func (g *group) park(m *message, reason string, by Peer) {
	g.release(m)
	g.forget(m)
	m.event, m.link = nil, nil
	m.parkedID, m.reason, m.parkedAt, m.parkedBy = uuid.New(), reason, g.now(), by.User
	if m.parkedBy == "" {
		m.parkedBy = by.ConnectionName
	}
	g.parking = append(g.parking, m)
	g.toWrite.send()
}

func (g *group) connect(slots int, peer Peer) (*Consumer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended != nil {
		return nil, g.ended
	}
	if limit := g.definition.Settings.MaxSubscriberCount; limit > 0 && len(g.consumers) >= limit {
		return nil, ErrTooManyConsumers
	}
	g.nextConsumer++
	c := &Consumer{
		group: g, id: g.nextConsumer, peer: peer, slots: min(slots, maxSlots), wake: make(chan struct{}, 1),
		inFlight: map[*message]struct{}{},
		meter:    meter{started: g.now(), detailed: g.definition.Settings.ExtraStatistics},
	}
	g.consumers = append(g.consumers, c)
	g.strategy.consumers(g.consumers)
	g.dispatch()
	g.toRead.send() // with a consumer there is more room
	return c, nil
}

func (g *group) disconnect(c *Consumer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.dropped != nil {
		return
	}
	c.dropped = ErrDropped
	g.consumers = slices.DeleteFunc(g.consumers, func(other *Consumer) bool { return other == c })
	g.strategy.consumers(g.consumers)
	for _, m := range inOrder(c.inFlight) {
		g.redeliver(m)
	}
	c.outbox = nil
	g.dispatch()
}

// inOrder sorts messages by their place in the source.
func inOrder(messages map[*message]struct{}) []*message {
	sorted := make([]*message, 0, len(messages))
	for m := range messages {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b *message) int { return cmp.Compare(a.order, b.order) })
	return sorted
}

// tick looks at the clock: consumers that took too long lose their events, and what has waited long enough is written.
func (g *group) tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for _, c := range g.consumers {
		late := map[*message]struct{}{}
		for m := range c.inFlight {
			if now.Before(m.since) {
				m.since = now // the clock was set back
			}
			if now.Sub(m.since) >= g.definition.Settings.MessageTimeout {
				late[m] = struct{}{}
			}
		}
		for _, m := range inOrder(late) {
			g.redeliver(m)
		}
	}
	if g.checkpoint.due(now, g.backlog.done(), g.definition.Settings) {
		g.checkpoint.wanted = true
		g.toWrite.send()
	}
	if g.readFailed {
		g.readFailed = false
		g.toRead.send()
	}
	if g.saveFailed || g.parked.done().place >= g.truncated {
		g.saveFailed = false
		g.toWrite.send()
	}
	g.dispatch()
}

// stop ends the group and its consumers. When it returns nothing is read or written for the group any more.
func (g *group) stop(why error) {
	g.mu.Lock()
	g.ended = why
	for _, c := range g.consumers {
		c.dropped, c.outbox = why, nil
		signal(c.wake).send()
	}
	g.consumers = nil
	g.mu.Unlock()
	g.cancel()
	g.running.Wait()
}
