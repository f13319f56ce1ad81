//go:build unix

package outbox_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/faultproxy"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
)

// Some tests kill real processes. The test binary starts itself as a child that
// publishes until it is killed.
const (
	childDatabase  = "OUTBOX_TEST_DATABASE"
	childBus       = "OUTBOX_TEST_BUS"
	childNamespace = "OUTBOX_TEST_NAMESPACE"
	childReader    = "OUTBOX_TEST_READER"
)

// captureServer names a PostgreSQL for all tests of change data capture: making
// a slot waits for every transaction of a server, and one that others use has
// such as stay open.
const captureServer = "OUTBOX_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(childDatabase) != "" {
		if err := childPublishes(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	c, err := makeCluster("wal_level=logical", "max_wal_size=1GB", "shared_buffers=64MB", "max_replication_slots=20")
	if err != nil { // then it must be the one that the other tests use
		goleak.VerifyTestMain(m, faultproxy.Leaks()...)
		return
	}
	if err := os.Setenv(captureServer, c.url("postgres")); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, append(faultproxy.Leaks(), goleak.Cleanup(func(code int) {
		if err := c.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))...)
}

func childPublishes(ctx context.Context) error {
	db, err := sqldb.Open(ctx, os.Getenv(childDatabase))
	if err != nil {
		return err
	}
	bus, err := rabbitmq.Open(ctx, rabbitmq.Config{URL: os.Getenv(childBus), Namespace: os.Getenv(childNamespace)})
	if err != nil {
		return err
	}
	options := quick
	options.Window = 50
	if err := options.Reader.UnmarshalText([]byte(os.Getenv(childReader))); err != nil {
		return err
	}
	return outbox.New(db, bus, discard(), options).Run(ctx)
}

// child is a process that publishes.
type child struct{ command *exec.Cmd }

func startChild(t *testing.T, w *world, k *broker) child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := child{exec.Command(executable)}
	c.command.Env = append(os.Environ(), childDatabase+"="+w.url, childBus+"="+rabbitmqtest.Address(), childNamespace+"="+k.namespace,
		childReader+"="+w.name)
	c.command.Stderr = os.Stderr
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// kill is kill -9.
func (c child) kill(t *testing.T) {
	t.Helper()
	if err := c.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.command.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the child ended with %v, want it killed", err)
	}
}

func TestPublishersKilledAtRandomLoseNothingAndKeepTheOrder(t *testing.T) {
	eachPostgres(t, func(t *testing.T, w *world) {
		k := openBroker(t, rabbitmqtest.Address())
		l := startLoad(t, w.db, 4)
		children := make([]child, 3)
		for i := range children {
			children[i] = startChild(t, w, k)
		}
		t.Cleanup(func() {
			for _, c := range children {
				c.kill(t)
			}
		})
		// The one that publishes is found out by its lease, so that it is hit most
		// of the times, at whatever it is doing.
		for range rounds(4, 60) {
			before := sent(t, w)
			eventually(t, "somebody published", func() bool { return sent(t, w) > before+30 })
			victim := active(t, w, children)
			<-time.After(rand.N(30 * time.Millisecond)) // anywhere in a window
			children[victim].kill(t)
			children[victim] = startChild(t, w, k)
		}
		l.quiet(t)
		l.check(t, k.ids(t))
	})
}

func sent(t *testing.T, w *world) int {
	t.Helper()
	var n int
	if err := w.db.QueryRow(t.Context(), `SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// active is the child that holds the lease, or any.
func active(t *testing.T, w *world, children []child) int {
	t.Helper()
	var holder string
	if err := w.db.QueryRow(t.Context(), `SELECT holder FROM lease WHERE name = 'outbox'`).Scan(&holder); err != nil {
		t.Fatal(err)
	}
	for i, c := range children {
		if strings.HasSuffix(holder, fmt.Sprint("/", c.command.Process.Pid)) {
			return i
		}
	}
	return rand.IntN(len(children))
}
