package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// eraseAtOnce bounds the messages that are on their way back at a time.
const eraseAtOnce = 100

// errNotPutBack says that the broker did not take a message back; it is where it
// was.
var errNotPutBack = errors.New("the broker did not take a message back")

// Erase takes each message that waits off the head of the queue and puts those
// that stay back at its end, as they were. One leaves the head only after the
// broker has confirmed that it has the other, so being killed in between leaves
// some of them twice.
func (b *Bus) Erase(ctx context.Context, queue string, theirs func(eventbus.Delivery) bool) (erased int, err error) {
	if err := b.enter(); err != nil {
		return 0, err
	}
	defer b.leave()
	depth, err := b.Depth(ctx, queue)
	if isNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("erase: %w", err)
	}
	s, err := b.consumer.session(ctx)
	if err != nil {
		return 0, fmt.Errorf("erase from %q: %w", queue, err)
	}
	c, err := consume(ctx, s, b.names.queue(queue), eraseAtOnce, true)
	if err != nil {
		return 0, fmt.Errorf("erase from %q: %w", queue, err)
	}
	defer c.close() // what was not dealt with goes back to the head
	r := &rotation{consumer: c, theirs: theirs}
	if err := c.ch.Confirm(false); err != nil {
		return 0, fmt.Errorf("erase from %q: ask for confirms: %w", queue, err)
	}
	r.returned = c.ch.NotifyReturn(make(chan amqp.Return, eraseAtOnce))
	for seen, more := 0, 1; seen < depth && more > 0; seen += more {
		if more, err = r.turn(ctx, min(depth-seen, eraseAtOnce)); err != nil {
			return r.erased, fmt.Errorf("erase from %q: %w", queue, err)
		}
	}
	return r.erased, nil
}

// Scrub does nothing: the files are the broker's.
func (b *Bus) Scrub(context.Context) error { return nil }

func isNotFound(err error) bool {
	var refusal *amqp.Error
	return errors.As(err, &refusal) && refusal.Code == amqp.NotFound
}

// rotation turns a queue around once.
type rotation struct {
	*consumer
	theirs   func(eventbus.Delivery) bool
	returned chan amqp.Return
	erased   int
}

// nothingComes is how long the next message of a queue that had more of them may
// take; then somebody else has them.
const nothingComes = 5 * time.Second

// turn deals with so many messages, or with fewer if there are no more, and
// returns with how many.
func (r *rotation) turn(ctx context.Context, count int) (seen int, err error) {
	var confirms []*amqp.DeferredConfirmation
	var last uint64
	erased := 0
	for ; seen < count; seen++ {
		d, ok, err := r.next(ctx)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		last = d.DeliveryTag
		if r.theirs(incoming(d)) {
			erased++
			continue
		}
		confirm, err := r.ch.PublishWithDeferredConfirmWithContext(ctx, "", r.queue, true, false, asItCame(d))
		if err != nil {
			return 0, fmt.Errorf("put back: %w", err)
		}
		confirms = append(confirms, confirm)
	}
	for _, confirm := range confirms {
		taken, err := confirm.WaitContext(ctx)
		if err != nil || !taken {
			return 0, errors.Join(errNotPutBack, err)
		}
	}
	if len(r.returned) > 0 {
		return 0, errNotPutBack // somebody has removed the queue
	}
	if seen == 0 {
		return 0, nil
	}
	if err := r.ch.Ack(last, true); err != nil {
		return 0, fmt.Errorf("acknowledge: %w", err)
	}
	r.erased += erased
	return seen, nil
}

func (r *rotation) next(ctx context.Context) (d amqp.Delivery, ok bool, err error) {
	timer := time.NewTimer(nothingComes)
	defer timer.Stop()
	select {
	case d, ok := <-r.arrived:
		if !ok {
			<-r.alive.Done()
			return d, false, context.Cause(r.alive)
		}
		return d, true, nil
	case <-timer.C:
		return d, false, nil
	case <-ctx.Done():
		return d, false, context.Cause(ctx)
	}
}

// asItCame is the message that a delivery brought, without what the broker wrote
// on it while it had it.
func asItCame(d amqp.Delivery) amqp.Publishing {
	headers := maps.Clone(d.Headers)
	maps.DeleteFunc(headers, func(name string, _ any) bool {
		return strings.HasPrefix(name, "x-delivery-count") || strings.HasPrefix(name, "x-acquired-count")
	})
	return amqp.Publishing{
		Headers: headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: amqp.Persistent,
		Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration,
		MessageId: d.MessageId, Timestamp: d.Timestamp, Type: cmp.Or(d.Type, d.RoutingKey), AppId: d.AppId, Body: d.Body,
	}
}
