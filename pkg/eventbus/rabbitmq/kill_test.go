//go:build unix

package rabbitmq_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"orderflow/pkg/eventbus/rabbitmq"
)

// serverScript starts a broker as the user who calls it, unlike the wrapper on
// the PATH, which wants to become another user first.
const serverScript = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// broker is a RabbitMQ of the test's own, so that it can be killed.
type broker struct {
	dir     string
	port    int
	command *exec.Cmd
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("starts and kills brokers: set TEST_LONG=1")
	}
	if _, err := os.Stat(serverScript); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	b := &broker{dir: t.TempDir(), port: freePort(t)}
	if err := os.WriteFile(filepath.Join(b.dir, "plugins"), []byte("[].\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	t.Cleanup(func() { b.kill(t) })
	return b
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	b.command = exec.Command(serverScript)
	b.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	b.command.Env = append(os.Environ(),
		"HOME="+b.dir,
		"RABBITMQ_NODENAME=test"+strconv.Itoa(b.port)+"@localhost",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(b.port),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(b.port+1),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(b.dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(b.dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(b.dir, "plugins"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(b.dir, "none"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
	)
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9 for the broker and every process it has started.
func (b *broker) kill(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-b.command.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	_ = b.command.Wait() // says that it was killed
}

func TestNothingIsLostWhenTheBrokerIsKilled(t *testing.T) {
	b := startBroker(t)
	bus, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: fmt.Sprintf("amqp://guest:guest@127.0.0.1:%d/", b.port)})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, bus)
	eventually(t, "the broker is up", func() bool { return bus.Ready() == nil })
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	// A quorum queue of RabbitMQ 3.10 does not survive kill -9 in the first
	// seconds after it was declared. Stopping properly makes it safe, and is
	// something else to survive.
	if err := syscall.Kill(-b.command.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = b.command.Wait()
	b.start(t)

	const rounds, publishers, each = 2, 4, 2000
	for round := range rounds {
		var running sync.WaitGroup
		for p := range publishers {
			running.Go(func() {
				for n := 0; n < each; n += 10 {
					first := (round*publishers+p)*each + n
					for events := first; events < first+10; events += 5 {
						if err := bus.Publish(within(t), placed(events), placed(events+1), placed(events+2), placed(events+3), placed(events+4)); err != nil {
							t.Errorf("publish: %v", err)
							return
						}
					}
				}
			})
		}
		crm.await(t, round*publishers*each+each/2) // in the middle of it
		b.kill(t)
		began := time.Now()
		b.start(t)
		running.Wait()
		t.Logf("round %d: everything published %s after the kill", round, time.Since(began).Round(time.Millisecond))
		eventually(t, "everything arrived", func() bool { return len(crm.firsts()) == (round+1)*publishers*each })
	}
	stats := bus.Stats()
	t.Logf("%d events, %d deliveries, %d publishes in doubt, %d reconnects",
		rounds*publishers*each, stats.Delivered, stats.UnknownOutcomes, stats.Reconnects)
	if stats.Reconnects == 0 {
		t.Error("the test is wrong: the broker was never gone")
	}
}
