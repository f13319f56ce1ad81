package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

var errCancelled = errors.New("the broker cancelled the consumer: its queue was removed or moved")

// errSuspect says that a delivery has to be handed out alone.
var errSuspect = errors.New("a delivery has come back often: it may be what ends its consumers")

// suspicious is how often a delivery must have come back to be handed out alone.
// A restart in the middle of the work counts once, or twice while that is done.
const suspicious = 3

// consumer is one channel that consumes one queue, until either is lost. It is
// driven by a single goroutine, which alone acknowledges.
//
// A broker counts a crash for every delivery that was on its way to whoever
// crashed. What comes back often is therefore taken one by one: the guilty one
// must not share its count with the others until all of them are dead letters.
//
//	wide ──suspect──> errSuspect, starts over as single ──one that is not, or the end──> wide
//
// What a quorum queue gets back it puts behind what it has got back before, so
// that a part of it, returned alone, has lost its place. A single consumer has a
// part; it is made wide before it ends, and so returns all of it at once.
type consumer struct {
	ch      *amqp.Channel
	queue   string
	batch   int // deliveries handed over at once when wide
	wide    bool
	ending  atomic.Bool        // the single consumer is ended by us
	arrived chan amqp.Delivery // as many as may be unacknowledged
	holding bool               // the single consumer has taken one that is not acknowledged
	asked   time.Time          // when the single consumer last got room for another one
	alive   context.Context    // ends, with the reason, when the channel or the consumer is lost
	end     context.CancelCauseFunc
	pumping sync.WaitGroup
}

func consume(ctx context.Context, s *session, queue string, batch int, wide bool) (*consumer, error) {
	return answered(ctx, func() (*consumer, error) { return startConsumer(s, queue, batch, wide) }, (*consumer).close)
}

func startConsumer(s *session, queue string, batch int, wide bool) (*consumer, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	c := &consumer{ch: ch, queue: queue, batch: batch, wide: wide, asked: time.Now()}
	c.alive, c.end = context.WithCancelCause(context.Background())
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	c.pumping.Go(func() {
		if err, ok := <-closed; ok {
			c.end(err)
		}
		c.end(errors.New("channel closed"))
	})
	tag, prefetch := singleTag, 1
	if wide {
		tag, prefetch = wideTag, 2*batch
	}
	if c.arrived, err = c.start(tag, prefetch); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// The names of the two consumers that a channel has one after the other. They
// differ because a quorum queue remembers a consumer that it has ended.
const (
	singleTag = "single"
	wideTag   = "wide"
)

// start asks for deliveries, so many in advance: when wide two batches, one that
// is handled and one on its way. Without a limit the library would buffer the
// whole queue.
func (c *consumer) start(tag string, prefetch int) (chan amqp.Delivery, error) {
	if err := c.ch.Qos(prefetch, 0, false); err != nil {
		return nil, fmt.Errorf("set prefetch: %w", err)
	}
	deliveries, err := c.ch.Consume(c.queue, tag, false, false, false, false, nil)
	if err != nil {
		return nil, fmt.Errorf("consume queue %q: %w", c.queue, err)
	}
	arrived := make(chan amqp.Delivery, prefetch)
	c.pumping.Go(func() {
		defer close(arrived)
		for d := range deliveries {
			select {
			case arrived <- d: // there is room for all the broker may send
			case <-c.alive.Done():
			}
		}
		// A broker can end the consumer and leave its channel open; the
		// library then closes only this Go channel. If it is the channel that
		// was lost, the reason is on its way and better than this one.
		if !c.ch.IsClosed() && !c.ending.Swap(false) {
			c.end(errCancelled)
		}
	})
	return arrived, nil
}

// widen makes a single consumer a wide one. What it has handled is acknowledged
// in between: while it is not, the single consumer gets nothing else. What it has
// not handled stays its own, and counts among the two batches: the next consumer
// takes no more of what comes back.
func (c *consumer) widen(unhandled int, acknowledge func() error) error {
	arrived, err := answered(c.alive, func() (chan amqp.Delivery, error) {
		c.ending.Store(true)
		if err := c.ch.Cancel(singleTag, false); err != nil {
			return nil, fmt.Errorf("end single consumer: %w", err)
		}
		if err := acknowledge(); err != nil {
			return nil, err
		}
		return c.start(wideTag, 2*c.batch-unhandled)
	}, func(chan amqp.Delivery) {})
	if err != nil {
		return err
	}
	c.arrived, c.wide = arrived, true
	return nil
}

// acknowledge covers a batch: it came in order and was handled in order. Those at
// the positions in dead are refused, so that the broker makes them dead letters.
// If the channel is gone it goes nowhere, and the broker hands the deliveries out
// again.
func (c *consumer) acknowledge(tags []uint64, dead []int) error {
	var last uint64
	for i, tag := range tags {
		if !slices.Contains(dead, i) {
			last = tag
			continue
		}
		if err := c.ch.Reject(tag, false); err != nil {
			return fmt.Errorf("refuse: %w", err)
		}
	}
	if last == 0 {
		return nil // a tag that was refused must not be named again: the broker would close the channel
	}
	if err := c.ch.Ack(last, true); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}

// run hands over batch after batch. It returns nil when stopping ended, else
// what was lost.
func (c *consumer) run(stopping context.Context, s *subscription) error {
	// A pause between attempts makes no sense once the deliveries are lost:
	// the broker hands them out again.
	waiting, cancel := context.WithCancel(stopping)
	defer cancel()
	defer context.AfterFunc(c.alive, cancel)()
	for {
		batch, tags, suspect := c.next(waiting)
		switch {
		case stopping.Err() != nil:
			return nil
		case len(batch) == 0:
			<-c.alive.Done()
			return context.Cause(c.alive)
		case suspect && c.wide:
			return errSuspect
		}
		dead, taken := s.handler.Until(waiting, s.life.Handling(), batch)
		if !taken {
			continue // next sees that waiting has ended
		}
		acknowledge := func() error { return c.acknowledge(tags, dead) }
		finish := acknowledge
		if !c.wide && (!suspect || stopping.Err() != nil) {
			finish = func() error { return c.widen(0, acknowledge) }
		}
		if err := finish(); err != nil {
			c.end(err)
			return context.Cause(c.alive)
		}
		c.holding, c.asked = false, time.Now()
		s.bus.count.Acknowledged.Add(int64(len(batch)))
	}
}

// next waits for a delivery and takes what else is there. suspect says that one
// of them has come back often.
func (c *consumer) next(waiting context.Context) (batch []eventbus.Delivery, tags []uint64, suspect bool) {
	if waiting.Err() != nil {
		return nil, nil, false
	}
	take := func(d amqp.Delivery) {
		batch, tags = append(batch, incoming(d)), append(tags, d.DeliveryTag)
		suspect = suspect || returns(d) >= suspicious
	}
	select {
	case d, ok := <-c.arrived:
		if !ok || c.alive.Err() != nil {
			return nil, nil, false // what a dead session left behind comes again
		}
		take(d)
		c.holding = true
	case <-waiting.Done():
		return nil, nil, false
	}
	for len(batch) < c.batch {
		select {
		case d, ok := <-c.arrived:
			if !ok {
				return batch, tags, suspect
			}
			take(d)
		default:
			return batch, tags, suspect
		}
	}
	return batch, tags, suspect
}

// returns is how often a quorum queue has had the delivery back.
func returns(d amqp.Delivery) int64 {
	count, _ := d.Headers["x-delivery-count"].(int64)
	return count
}

// close closes the channel, after the broker has processed the last
// acknowledgement on it. What was not acknowledged goes back to its place in
// the queue; cancelling the consumer first would not keep that place.
func (c *consumer) close() {
	if !c.wide && c.alive.Err() == nil { // once it was lost, so was the place
		c.regroup()
	}
	_ = c.ch.Close() // closed already when it was lost
	c.end(errors.New("consumer closed"))
	c.pumping.Wait()
}

// regroup lets a single consumer that holds the first of what came back have the
// rest as well. Whether it holds one is not known while one may be on its way to
// it; how many it may take depends on that.
func (c *consumer) regroup() {
	if !c.holding {
		late := time.NewTimer(time.Until(c.asked.Add(closeTimeout)))
		defer late.Stop()
		select {
		case _, c.holding = <-c.arrived:
		case <-late.C: // the queue is empty, or another instance consumes
		case <-c.alive.Done():
		}
	}
	if c.holding {
		_ = c.widen(1, func() error { return nil })
	}
}
