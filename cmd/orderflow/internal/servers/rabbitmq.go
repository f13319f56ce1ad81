package servers

import (
	"context"
	"fmt"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

func dial(ctx context.Context, broker string) (*amqp.Connection, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return amqp.DialConfig(broker, amqp.Config{
		Heartbeat: 10 * time.Second,
		Dial: func(network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			// For the handshake; the client removes it after that.
			return conn, conn.SetDeadline(time.Now().Add(patience))
		},
	})
}

// answers returns nil when the broker takes connections.
func answers(ctx context.Context, broker string) error {
	conn, err := dial(ctx, broker)
	if err != nil {
		return err
	}
	return conn.Close()
}

// removeNamespace deletes the queues and exchanges of the services. Deleting what is not there is no error in AMQP.
func (r *Room) removeNamespace(ctx context.Context) error {
	conn, err := dial(ctx, r.broker)
	if err != nil {
		return fmt.Errorf("RabbitMQ: %w", err)
	}
	defer func() { _ = conn.Close() }() // nothing waits for an answer
	channel, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("RabbitMQ: %w", err)
	}
	for _, queue := range append([]string{eventbus.Unrouted}, r.services...) {
		for _, suffix := range []string{"", eventbus.DeadSuffix, ".bindings"} {
			if _, err := channel.QueueDelete(r.Name+"."+queue+suffix, false, false, false); err != nil {
				return fmt.Errorf("RabbitMQ: delete queue of %s: %w", queue, err)
			}
		}
	}
	for _, exchange := range []string{"events", "commands", eventbus.Unrouted} {
		if err := channel.ExchangeDelete(r.Name+"."+exchange, false, false); err != nil {
			return fmt.Errorf("RabbitMQ: delete exchange %s: %w", exchange, err)
		}
	}
	return nil
}
