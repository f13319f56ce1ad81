//go:build unix

package rabbitmq_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/porttest"
)

// scripts start a broker, and talk to it, as the user who calls them, unlike the
// wrappers on the PATH, which want to become another user first.
const scripts = "/usr/lib/rabbitmq/bin/"

// node is a RabbitMQ of the test's own, so that it can be stopped, killed and
// misconfigured.
type node struct {
	dir     string
	port    int
	command *exec.Cmd
}

// nodePorts is how many ports a node has, and those who give it commands.
const nodePorts = 13

func startBroker(t *testing.T) *node {
	t.Helper()
	if _, err := os.Stat(scripts + "rabbitmq-server"); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	n := &node{dir: t.TempDir(), port: porttest.For(t, nodePorts)}
	if err := os.WriteFile(filepath.Join(n.dir, "plugins"), []byte("[].\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	t.Cleanup(func() { n.kill(t) })
	return n
}

func (n *node) address() string { return "127.0.0.1:" + strconv.Itoa(n.port) }
func (n *node) url() string     { return "amqp://guest:guest@" + n.address() + "/" }

func (n *node) environment() []string {
	return append(os.Environ(),
		"HOME="+n.dir,
		"RABBITMQ_NODENAME=test"+strconv.Itoa(n.port)+"@localhost",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(n.port),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(n.port+1),
		// Unless told, rabbitmqctl takes a port ten thousand above, which there may not be.
		"RABBITMQ_CTL_DIST_PORT_MIN="+strconv.Itoa(n.port+2),
		"RABBITMQ_CTL_DIST_PORT_MAX="+strconv.Itoa(n.port+nodePorts-1),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(n.dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(n.dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(n.dir, "plugins"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(n.dir, "none"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
	)
}

func (n *node) start(t *testing.T) {
	t.Helper()
	n.command = exec.Command(scripts + "rabbitmq-server")
	n.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	n.command.Env = n.environment()
	if err := n.command.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9 for the broker and every process it has started.
func (n *node) kill(t *testing.T) { n.signal(t, syscall.SIGKILL) }

// stop is what an operator or a container engine does.
func (n *node) stop(t *testing.T) { n.signal(t, syscall.SIGTERM) }

func (n *node) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-n.command.Process.Pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	_ = n.command.Wait() // says how it ended
}

// control is rabbitmqctl.
func (n *node) control(t *testing.T, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, scripts+"rabbitmqctl", append([]string{"-q"}, arguments...)...)
	command.Env = n.environment()
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("rabbitmqctl %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return string(output)
}

// world is a namespace on the node. It is not removed; the node is.
func (n *node) world(t *testing.T) *world {
	t.Helper()
	eventually(t, "the broker is up", func() bool {
		conn, err := amqp.Dial(n.url())
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return newWorldAt(t, n.url())
}
