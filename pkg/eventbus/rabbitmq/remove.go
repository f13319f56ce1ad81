package rabbitmq

import (
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// RemoveNamespace deletes all that the buses of a namespace have made at a
// broker, with every event in it: the exchanges, the queue of unrouted events,
// the queues named, as [eventbus.Queue] names them, and what stands beside each
// of these. AMQP cannot list the queues of a namespace; one that is not named
// stays. What is not there is no error.
//
// It is meant for systems that were made to be thrown away. Their buses must be
// closed, or they declare everything again.
func RemoveNamespace(conn *amqp.Connection, namespace string, queues ...string) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("remove namespace %q: open channel: %w", namespace, err)
	}
	defer func() { _ = ch.Close() }() // closed already where the broker has refused something
	n := names{namespace}
	// Exchanges first: nothing is routed any more to queues that are gone.
	for _, exchange := range []string{n.events(), n.commands(), n.unrouted()} {
		if err := ch.ExchangeDelete(exchange, false, false); err != nil {
			return fmt.Errorf("delete exchange %q: %w", exchange, err)
		}
	}
	for _, name := range append([]string{eventbus.Unrouted}, queues...) {
		for _, suffix := range []string{"", eventbus.DeadSuffix, recordSuffix} {
			if _, err := ch.QueueDelete(n.queue(name)+suffix, false, false, false); err != nil {
				return fmt.Errorf("delete queue %q: %w", n.queue(name)+suffix, err)
			}
		}
	}
	return nil
}
