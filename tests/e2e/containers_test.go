package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/modules/rabbitmq"
	"github.com/testcontainers/testcontainers-go/wait"
)

// The images that deploy/compose.yml runs.
const (
	postgresImage  = "postgres:17-alpine"
	rabbitMQImage  = "rabbitmq:4.1-management-alpine"
	kurrentDBImage = "kurrentplatform/kurrentdb:25.1"
)

// pulling is how long images may take to arrive and servers to start.
const pulling = 4 * time.Minute

// docker reports why no container can be started, or nil.
func docker(ctx context.Context) (err error) {
	defer func() {
		// Looking for an engine panics where there is no trace of one.
		if p := recover(); p != nil {
			err = fmt.Errorf("no Docker: %v", p)
		}
	}()
	provider, err := testcontainers.ProviderDocker.GetProvider()
	if err != nil {
		return fmt.Errorf("no Docker: %w", err)
	}
	return errors.Join(provider.Health(ctx), provider.Close())
}

// start runs a container that lives as long as the test, and returns its URL.
func start[C testcontainers.Container](t testing.TB, run func(context.Context) (C, error), reach func(context.Context, C) (string, error)) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pulling)
	defer cancel()
	if err := docker(ctx); err != nil {
		return "", err
	}
	container, err := run(ctx)
	testcontainers.CleanupContainer(t, container)
	if err != nil {
		return "", err
	}
	return reach(ctx, container)
}

func startPostgres(t testing.TB) (string, error) {
	t.Helper()
	return start(t, func(ctx context.Context) (*postgres.PostgresContainer, error) {
		return postgres.Run(ctx, postgresImage, postgres.BasicWaitStrategies())
	}, func(ctx context.Context, c *postgres.PostgresContainer) (string, error) {
		return c.ConnectionString(ctx, "sslmode=disable")
	})
}

func startRabbitMQ(t testing.TB) (string, error) {
	t.Helper()
	return start(t, func(ctx context.Context) (*rabbitmq.RabbitMQContainer, error) {
		return rabbitmq.Run(ctx, rabbitMQImage)
	}, func(ctx context.Context, c *rabbitmq.RabbitMQContainer) (string, error) {
		return c.AmqpURL(ctx)
	})
}

// startKurrentDB keeps its events in memory: the tests kill services, not it.
func startKurrentDB(t testing.TB) (string, error) {
	t.Helper()
	const port = "2113/tcp"
	return start(t, func(ctx context.Context) (*testcontainers.DockerContainer, error) {
		return testcontainers.Run(ctx, kurrentDBImage,
			testcontainers.WithImagePlatform("linux/amd64"),
			testcontainers.WithExposedPorts(port),
			testcontainers.WithEnv(map[string]string{
				"KURRENTDB_INSECURE": "true", "KURRENTDB_MEM_DB": "true", "KURRENTDB_RUN_PROJECTIONS": "None",
			}),
			testcontainers.WithWaitStrategyAndDeadline(pulling, wait.ForHTTP("/health/live").WithPort(port).
				WithStatusCodeMatcher(func(status int) bool { return status == 200 || status == 204 })),
		)
	}, func(ctx context.Context, c *testcontainers.DockerContainer) (string, error) {
		endpoint, err := c.PortEndpoint(ctx, port, "")
		return "esdb://" + endpoint + "?tls=false", err
	})
}
