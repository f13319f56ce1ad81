package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
)

// The servers as they are found on a developer's machine.
const (
	usualPostgres = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
	usualRabbitMQ = "amqp://guest:guest@127.0.0.1:5672/"
)

// realServers returns PostgreSQL and RabbitMQ: those that answer, or containers.
// Databases and a namespace are made for this run and removed after it.
func realServers(t testing.TB) servers {
	t.Helper()
	run := "e2e_" + strings.ToLower(rand.Text()[:10])
	postgres := postgresServer(t)
	server, broker := rabbitMQServer(t)
	return servers{
		bus:        busWithNamespace(t, server),
		broker:     broker,
		eventStore: eventStoreServer(t),
		database:   newDatabases(t, postgres, run),
	}
}

// withoutServer ends a test that has nothing to run on.
func withoutServer(t testing.TB, which string, err error) {
	t.Helper()
	if os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatalf("%s is required here: %v", which, err)
	}
	t.Skipf("no %s: %v", which, err)
}

func postgresServer(t testing.TB) string {
	t.Helper()
	server := cmp.Or(os.Getenv("TEST_DATABASE_URL"), usualPostgres)
	err := inPostgres(server, `SELECT 1`)
	if err == nil {
		return server
	}
	server, started := startPostgres(t)
	if started != nil {
		withoutServer(t, "PostgreSQL", errors.Join(err, started))
	}
	return server
}

func inPostgres(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // it is not used again
	_, err = conn.Exec(ctx, statement)
	return err
}

// poolSize is the most connections in the pool of a service. All of them together
// leave room to the other packages that are tested at the same time, on a server
// that has the hundred which it has when nobody says otherwise. With three a
// handler has a second one to ask on beside its transaction, and a call over HTTP
// one of its own.
const poolSize = "3"

// newDatabases gives each service a database of its own, which lives as long as
// the test.
func newDatabases(t testing.TB, server, run string) func(service string) string {
	t.Helper()
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal("the URL of PostgreSQL is not one")
	}
	var made []string
	t.Cleanup(func() {
		// At once: each drop waits for a checkpoint, which they can share.
		var dropped sync.WaitGroup
		for _, name := range made {
			dropped.Go(func() {
				if err := inPostgres(server, fmt.Sprintf(`DROP DATABASE %q WITH (FORCE)`, name)); err != nil {
					t.Errorf("drop database: %v", err)
				}
			})
		}
		dropped.Wait()
	})
	return func(service string) string {
		name := run + "_" + service
		if err := inPostgres(server, fmt.Sprintf(`CREATE DATABASE %q`, name)); err != nil {
			t.Fatal(err)
		}
		made = append(made, name)
		own := *address
		own.Path = "/" + name
		query := own.Query()
		query.Set("pool_max_conns", poolSize)
		own.RawQuery = query.Encode()
		return own.String()
	}
}

// rabbitMQServer returns the URL of a broker: the one that is named; or one of
// the test's own, which it may stop; or the one that answers here; or a
// container.
func rabbitMQServer(t testing.TB) (server string, own *process) {
	t.Helper()
	server = os.Getenv("TEST_EVENTBUS_URL")
	if _, err := os.Stat(brokerScript); server == "" && err == nil {
		return startBroker(t)
	}
	server = cmp.Or(server, usualRabbitMQ)
	conn, err := amqp.Dial(server)
	if err == nil {
		_ = conn.Close() // it has answered, which was the question
		return server, nil
	}
	server, started := startRabbitMQ(t)
	if started != nil {
		withoutServer(t, "RabbitMQ", errors.Join(err, started))
	}
	return server, nil
}

// busWithNamespace is the bus at a broker under a name of its own. What the
// services leave there is removed after the test.
func busWithNamespace(t testing.TB, server string) string {
	t.Helper()
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal("the URL of RabbitMQ is not one")
	}
	query := address.Query()
	query.Set("namespace", rabbitmqtest.Namespace(t, server, services...))
	address.RawQuery = query.Encode()
	return address.String()
}

// eventStoreServer is the event store named, or one in a container; empty means
// the embedded one as a process of its own, which is as good.
func eventStoreServer(t testing.TB) string {
	t.Helper()
	if server := os.Getenv("ESDB_URL"); server != "" {
		return server
	}
	server, err := startKurrentDB(t)
	if err != nil {
		t.Logf("the embedded event store serves, as there is no other: %v", err)
	}
	return server
}
