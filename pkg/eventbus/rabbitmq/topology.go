package rabbitmq

import (
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// defaultDeliveryLimit is how often a broker lets a message come back before it puts it
// into the queue of dead letters. Crashes and restarts count, attempts of a
// handler do not, so it lies far above what a healthy system ever needs. It is
// always given: without it brokers differ between 20 and no limit.
const defaultDeliveryLimit = 100

// keepForever is the limit where a message must never be dropped. A limit of -1
// means none in RabbitMQ 4, but 3.10 drops the message at its first return.
const keepForever = 1_000_000_000

// names of what a namespace has at the broker.
type names struct{ namespace string }

func (n names) events() string   { return n.namespace + ".events" }
func (n names) commands() string { return n.namespace + ".commands" }
func (n names) unrouted() string { return n.namespace + "." + eventbus.Unrouted }

func (n names) exchange(e eventbus.Event) string {
	if e.IsCommand() {
		return n.commands()
	}
	return n.events()
}

// queue is the name at the broker of a queue as the program calls it.
func (n names) queue(name string) string {
	if n.namespace == DefaultNamespace && name != eventbus.Unrouted && !strings.HasPrefix(name, eventbus.Unrouted+".") {
		return name
	}
	return n.namespace + "." + name
}

// declareExchanges makes what publishers need.
func (n names) declareExchanges(s *session, ch *amqp.Channel) error {
	// Its limit is the same for all: publishers and consumers both declare it.
	if err := n.declareQueue(ch, s.version, n.unrouted(), defaultDeliveryLimit); err != nil {
		return err
	}
	for _, e := range []struct {
		name, kind string
		args       amqp.Table
	}{
		{n.unrouted(), amqp.ExchangeFanout, nil},
		{n.events(), amqp.ExchangeTopic, amqp.Table{"alternate-exchange": n.unrouted()}},
		{n.commands(), amqp.ExchangeTopic, nil},
	} {
		if err := ch.ExchangeDeclare(e.name, e.kind, true, false, false, false, e.args); err != nil {
			return fmt.Errorf("declare exchange %q: %w", e.name, err)
		}
	}
	if err := ch.QueueBind(n.unrouted(), "", n.unrouted(), false, nil); err != nil {
		return fmt.Errorf("bind queue %q: %w", n.unrouted(), err)
	}
	return nil
}

// declareQueue makes a queue and, before it, the one for its dead letters.
func (n names) declareQueue(ch *amqp.Channel, v version, queue string, limit int) error {
	dead := queue + eventbus.DeadSuffix
	if strings.HasSuffix(queue, eventbus.DeadSuffix) {
		dead = queue
	}
	if _, err := declareQuorum(ch, dead, deadArguments()); err != nil || dead == queue {
		return err
	}
	args := amqp.Table{
		"x-delivery-limit":          int64(limit),
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": dead,
	}
	if v.atLeast(3, 10) {
		// The dead letter is confirmed before the original goes; needs the
		// queue to refuse, not drop, should anyone ever limit its length.
		args["x-dead-letter-strategy"] = "at-least-once"
		args["x-overflow"] = "reject-publish"
	}
	if queue != n.unrouted() {
		// Instances that took turns would interleave the events of a subject.
		args["x-single-active-consumer"] = true
	}
	_, err := declareQuorum(ch, queue, args)
	return err
}

func deadArguments() amqp.Table { return amqp.Table{"x-delivery-limit": int64(keepForever)} }

func declareQuorum(ch *amqp.Channel, queue string, args amqp.Table) (amqp.Queue, error) {
	args["x-queue-type"] = "quorum"
	q, err := ch.QueueDeclare(queue, true, false, false, false, args)
	if err != nil {
		return q, fmt.Errorf("declare queue %q: %w", queue, err)
	}
	return q, nil
}

// bind adds a binding where the pattern can match.
func (n names) bind(ch *amqp.Channel, queue, pattern string) error {
	return n.eachExchange(pattern, func(exchange string) error {
		if err := ch.QueueBind(queue, pattern, exchange, false, nil); err != nil {
			return fmt.Errorf("bind queue %q to %q by %q: %w", queue, exchange, pattern, err)
		}
		return nil
	})
}

// unbind removes it; a binding that does not exist is no error in AMQP.
func (n names) unbind(ch *amqp.Channel, queue, pattern string) error {
	return n.eachExchange(pattern, func(exchange string) error {
		if err := ch.QueueUnbind(queue, pattern, exchange, nil); err != nil {
			return fmt.Errorf("unbind queue %q from %q by %q: %w", queue, exchange, pattern, err)
		}
		return nil
	})
}

func (n names) eachExchange(pattern string, do func(exchange string) error) error {
	events, commands := eventbus.Reaches(pattern)
	var err error
	if events {
		err = do(n.events())
	}
	if commands && err == nil {
		err = do(n.commands())
	}
	return err
}

// hopeless says that asking again would get the same answer: what exists at the
// broker is declared otherwise, or it is not allowed. Not so what is not found:
// somebody has removed it a moment ago, and asking again declares it again.
func hopeless(err error) bool {
	var refusal *amqp.Error
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case amqp.PreconditionFailed, amqp.AccessRefused, amqp.NotImplemented, amqp.NotAllowed:
		return refusal.Server
	}
	return false
}
