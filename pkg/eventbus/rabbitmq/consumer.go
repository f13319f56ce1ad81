package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

var errCancelled = errors.New("the broker cancelled the consumer: its queue was removed or moved")

// consumer is one channel that consumes one queue, until either is lost. It is
// driven by a single goroutine, which alone acknowledges.
type consumer struct {
	ch      *amqp.Channel
	batch   int
	arrived chan amqp.Delivery // as many as may be unacknowledged
	alive   context.Context    // ends, with the reason, when the channel or the consumer is lost
	end     context.CancelCauseFunc
	pumping sync.WaitGroup
}

// consume asks for two batches in advance: one is handled while the next one
// is on its way. Without a limit the library would buffer the whole queue.
func consume(ctx context.Context, s *session, queue string, batch int) (*consumer, error) {
	return answered(ctx, func() (*consumer, error) { return startConsumer(s, queue, batch) }, (*consumer).close)
}

func startConsumer(s *session, queue string, batch int) (*consumer, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	c := &consumer{ch: ch, batch: batch, arrived: make(chan amqp.Delivery, 2*batch)}
	c.alive, c.end = context.WithCancelCause(context.Background())
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	c.pumping.Go(func() {
		if err, ok := <-closed; ok {
			c.end(err)
		}
		c.end(errors.New("channel closed"))
	})
	if err := ch.Qos(cap(c.arrived), 0, false); err != nil {
		c.close()
		return nil, fmt.Errorf("set prefetch: %w", err)
	}
	deliveries, err := ch.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		c.close()
		return nil, fmt.Errorf("consume queue %q: %w", queue, err)
	}
	c.pumping.Go(func() {
		defer close(c.arrived)
		for d := range deliveries {
			select {
			case c.arrived <- d: // there is room for all the broker may send
			case <-c.alive.Done():
			}
		}
		// A broker can end the consumer and leave its channel open; the
		// library then closes only this Go channel. If it is the channel that
		// was lost, the reason is on its way and better than this one.
		if !ch.IsClosed() {
			c.end(errCancelled)
		}
	})
	return c, nil
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
		batch, last := c.next(waiting)
		if stopping.Err() != nil {
			return nil
		}
		if len(batch) == 0 {
			<-c.alive.Done()
			return context.Cause(c.alive)
		}
		if !s.handler.Until(waiting, s.life.Handling(), batch) {
			continue // next sees that waiting has ended
		}
		// Everything up to last came in order and was handled in order, so one
		// acknowledgement covers the batch. If the channel is gone it goes
		// nowhere, and the broker hands the batch out again.
		if err := c.ch.Ack(last, true); err != nil {
			c.end(fmt.Errorf("acknowledge: %w", err))
			return context.Cause(c.alive)
		}
		s.bus.count.Acknowledged.Add(int64(len(batch)))
	}
}

// next waits for a delivery and takes what else is there.
func (c *consumer) next(waiting context.Context) (batch []eventbus.Delivery, last uint64) {
	if waiting.Err() != nil {
		return nil, 0
	}
	select {
	case d, ok := <-c.arrived:
		if !ok || c.alive.Err() != nil {
			return nil, 0 // what a dead session left behind comes again
		}
		batch, last = append(batch, incoming(d)), d.DeliveryTag
	case <-waiting.Done():
		return nil, 0
	}
	for len(batch) < c.batch {
		select {
		case d, ok := <-c.arrived:
			if !ok {
				return batch, last
			}
			batch, last = append(batch, incoming(d)), d.DeliveryTag
		default:
			return batch, last
		}
	}
	return batch, last
}

// close closes the channel, after the broker has processed the last
// acknowledgement on it. What was not acknowledged goes back to its place in
// the queue; cancelling the consumer first would not keep that place.
func (c *consumer) close() {
	_ = c.ch.Close() // closed already when it was lost
	c.end(errors.New("consumer closed"))
	c.pumping.Wait()
}
