package persistent

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

const (
	// maxSlots is the largest number of unfinished events that a consumer gets, whatever it asks for.
	maxSlots = 1 << 16
	// maxReason is how much of a consumer's reason is kept with a parked event, in bytes.
	maxReason = 4 << 10
	// maxQueuedBytes is how much content waits for a consumer that is slow to receive.
	maxQueuedBytes = 4 << 20
)

// Peer says who is behind a consumer, for those who look at the group.
type Peer struct {
	Address, User, ConnectionName string
}

// Consumer is one connection to a group. Receive is for one goroutine at a time; the other methods are safe at any time.
type Consumer struct {
	group *group
	id    uint64
	peer  Peer
	slots int
	wake  chan struct{} // has a signal when there is something to receive, or the consumer has been dropped

	// What follows is guarded by the group's lock.
	dropped     error
	inFlight    map[*message]struct{}
	outbox      []outgoing
	queuedBytes int
	meter       meter
}

// outgoing is a message in a consumer's outbox. It is stale when the message has been taken away meanwhile, which shows
// in its retry count even if the message came back to the same consumer.
type outgoing struct {
	message *message
	retries int
	size    int
}

// Delivery is an event as a consumer gets it.
type Delivery struct {
	Event, Link *eventlog.Event // with resolved links Link is the original event; nil otherwise
	Retries     int
	// FromSource is whether Event lies in the group's source itself, rather than where a link in there points to. A parked
	// event does, although it comes with the link from the parked stream.
	FromSource bool
}

// Action is what a consumer wants done with an event that it could not handle.
type Action int

// The actions of the protocol. Unknown leaves it to the group, which delivers again.
const (
	ActionUnknown Action = iota
	ActionPark
	ActionRetry
	ActionSkip
	ActionStop
)

func (c *Consumer) available() bool {
	return len(c.inFlight) < c.slots && c.queuedBytes < maxQueuedBytes
}

// Receive waits for events. It fails with ErrDropped or ErrClosed when the group has gone, and when ctx ends.
func (c *Consumer) Receive(ctx context.Context) ([]Delivery, error) {
	for {
		deliveries, err := c.take()
		if err != nil || len(deliveries) > 0 {
			return deliveries, err
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take empties the outbox.
func (c *Consumer) take() ([]Delivery, error) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.dropped != nil {
		return nil, c.dropped
	}
	if len(c.outbox) == 0 {
		return nil, nil
	}
	deliveries := make([]Delivery, 0, len(c.outbox))
	for _, o := range c.outbox {
		m := o.message
		if m.holder != c || m.retries != o.retries {
			continue
		}
		deliveries = append(deliveries, Delivery{Event: m.event, Link: m.link, Retries: m.retries, FromSource: m.fromSource()})
		m.event, m.link = nil, nil
	}
	clear(c.outbox)
	c.outbox = c.outbox[:0]
	wasFull := c.queuedBytes >= maxQueuedBytes
	c.queuedBytes = 0
	if wasFull {
		g.dispatch()
	}
	return deliveries, nil
}

// Ack says that events are done, by the ids of the original events. Ids that mean nothing are ignored. An event that was
// taken away because it took too long counts as done all the same.
func (c *Consumer) Ack(ids []uuid.UUID) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.dropped != nil {
		return
	}
	for _, id := range ids {
		m := g.named(id, c)
		if m == nil {
			continue
		}
		if holder := m.holder; holder != nil {
			holder.meter.done(g.now().Sub(m.since))
		}
		g.finish(m)
	}
	g.dispatch()
}

// Nack says that the consumer could not handle events, by the ids of the original events. Ids of events that it does not
// have are ignored. Stop is what Skip is: the original server, too, ends nothing on it. Of a long reason the beginning
// counts: it is kept with every event that is parked for it.
func (c *Consumer) Nack(ids []uuid.UUID, action Action, reason string) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.dropped != nil {
		return
	}
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	for _, id := range ids {
		m := g.named(id, c)
		if m == nil || m.holder != c {
			continue
		}
		switch action {
		case ActionPark:
			g.park(m, reason, c.peer)
		case ActionSkip, ActionStop:
			g.finish(m)
		default:
			g.redeliver(m)
		}
	}
	g.dispatch()
}

// Close leaves the group. What the consumer had goes to others, or waits for some.
func (c *Consumer) Close() { c.group.disconnect(c) }
