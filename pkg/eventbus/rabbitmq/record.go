package rabbitmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
)

// The record of a queue's bindings is kept in a queue beside it, as messages
// that each hold a JSON list of patterns. What is bound is always part of their
// union: a pattern is written down before it is bound, and taken out after it
// was unbound. So a crash at any point leaves a record that says too much,
// which the next start corrects, never too little.
//
// The record only serves to unbind. Consuming never waits for it longer than
// recordTimeout: where it cannot be read or written, that is logged, and
// patterns nobody wants any more stay bound until a later start. For the same
// reason a consumer that comes back puts back its queue and bindings without it.
// So where the broker has lost the record, or a newer version has meanwhile
// unbound a pattern that the older one puts back, the pattern stays bound until
// somebody unbinds it; its events are delivered, and are for the handler to ignore.
const (
	recordSuffix  = ".bindings"
	recordTimeout = 5 * time.Second
)

// record is what is written down about one queue. Messages read stay
// unacknowledged, and so stay, until they are replaced.
type record struct {
	ch       *amqp.Channel
	queue    string // of the record
	patterns []string
	last     uint64 // delivery tag of the last message read
}

// openRecord reads the record, on a channel of its own.
func (b *Bus) openRecord(ctx context.Context, s *session, queue string) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return answered(ctx, func() (*record, error) {
		ch, err := s.conn.Channel()
		if err != nil {
			return nil, fmt.Errorf("open channel: %w", err)
		}
		r := &record{ch: ch, queue: queue + recordSuffix}
		if _, err = declareQuorum(ch, r.queue, deadArguments()); err == nil {
			err = r.read()
		}
		if err != nil {
			r.close()
			return nil, err
		}
		return r, nil
	}, (*record).close)
}

// close lets go of the messages that were read and not replaced.
func (r *record) close() { _ = r.ch.Close() }

func (r *record) read() error {
	for {
		message, ok, err := r.ch.Get(r.queue, false)
		if err != nil {
			return fmt.Errorf("read record %q: %w", r.queue, err)
		}
		if !ok {
			return nil
		}
		r.last = message.DeliveryTag
		var patterns []string
		if err := json.Unmarshal(message.Body, &patterns); err != nil {
			return fmt.Errorf("read record %q: %w", r.queue, err)
		}
		r.patterns = union(r.patterns, patterns)
	}
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// extend writes down patterns that are about to be bound, if any is new. Most
// starts change nothing and need not publish, so that a consumer can come back
// while the broker blocks publishers and waits to be relieved.
func (b *Bus) extend(ctx context.Context, r *record, patterns []string) error {
	both := union(r.patterns, patterns)
	if slices.Equal(both, r.patterns) {
		return nil
	}
	if err := b.write(ctx, r, both); err != nil {
		return err
	}
	// Also the message just written is read, so that replace removes it.
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_, err := answered(ctx, func() (struct{}, error) { return struct{}{}, r.read() }, func(struct{}) {})
	return err
}

// replace writes down what is bound now, and nothing else.
func (b *Bus) replace(ctx context.Context, r *record, patterns []string) error {
	if slices.Equal(patterns, r.patterns) {
		return nil
	}
	return b.write(ctx, r, patterns)
}

// write adds a message and then removes those that were read before. It goes
// through the publisher's connection: a broker that blocks publishers stops
// reading from their connections, and this one must go on acknowledging.
func (b *Bus) write(ctx context.Context, r *record, patterns []string) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	body, err := json.Marshal(patterns)
	if err != nil {
		return fmt.Errorf("write record %q: %w", r.queue, err)
	}
	_, refused, err := b.deliver(ctx, []outgoing{{
		key:     r.queue,
		command: true, // somebody has to take it
		publishing: amqp.Publishing{
			ContentType: "application/json", DeliveryMode: amqp.Persistent,
			MessageId: uuid.NewString(), Body: body,
		},
	}})
	if err := errors.Join(append(refused, err)...); err != nil {
		return fmt.Errorf("write record %q: %w", r.queue, err)
	}
	if r.last == 0 {
		return nil
	}
	if err := r.ch.Ack(r.last, true); err != nil {
		return fmt.Errorf("replace record %q: %w", r.queue, err)
	}
	return nil
}
