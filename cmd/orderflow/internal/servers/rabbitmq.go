package servers

import (
	"context"
	"fmt"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus/rabbitmq"
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

// removeNamespace deletes what the services have at the broker.
func (r *Room) removeNamespace(ctx context.Context) error {
	conn, err := dial(ctx, r.broker)
	if err != nil {
		return fmt.Errorf("RabbitMQ: %w", err)
	}
	defer func() { _ = conn.Close() }() // nothing waits for an answer
	if err := rabbitmq.RemoveNamespace(conn, r.Name, r.services...); err != nil {
		return fmt.Errorf("RabbitMQ: %w", err)
	}
	return nil
}
