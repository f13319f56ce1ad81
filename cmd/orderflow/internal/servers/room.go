package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// patience bounds what a server may take for one thing. Dropping a database waits for a checkpoint, which a busy server
// has been seen to take longer than 20 s for; given up, it would leave the database behind.
const patience = time.Minute

// Room is what one system has for itself on the servers.
type Room struct {
	// Name is in front of everything.
	Name string
	// Bus is the URL of the event bus.
	Bus string
	// Databases are the URLs of the services' databases, by service.
	Databases map[string]string

	broker, postgres string
	services         []string
}

// Make makes room for services. broker is amqp://... or amqps://..., postgres is postgres://... with a database to
// connect to for making others, which takes the right to make databases. An error names the server it is about, without
// passwords, and nothing is left behind then.
func Make(ctx context.Context, broker, postgres string, services []string) (*Room, error) {
	room := &Room{
		Name: "orderflow_" + strings.ToLower(rand.Text()[:8]), Databases: map[string]string{},
		broker: broker, postgres: postgres, services: services,
	}
	address, err := url.Parse(broker)
	if err != nil || address.Scheme != "amqp" && address.Scheme != "amqps" {
		return nil, errors.New("not amqp://... or amqps://... but another URL for RabbitMQ")
	}
	query := address.Query()
	query.Set("namespace", room.Name)
	address.RawQuery = query.Encode()
	room.Bus = address.String()
	if err := answers(ctx, broker); err != nil {
		return nil, fmt.Errorf("RabbitMQ at %s: %w", address.Host, err)
	}
	if err := room.makeDatabases(ctx); err != nil {
		return nil, errors.Join(err, room.Remove(ctx))
	}
	return room, nil
}

// Environ are the settings with which the services use the room.
func (r *Room) Environ() map[string]string {
	environ := map[string]string{"EVENTBUS_URL": r.Bus}
	for service, database := range r.Databases {
		environ["DATABASE_URL_"+strings.ToUpper(service)] = database
	}
	return environ
}

// Remove removes everything, also when ctx has ended: that is when it is needed. The system must have stopped.
func (r *Room) Remove(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	return errors.Join(r.removeDatabases(ctx), r.removeNamespace(ctx))
}
