//go:build unix

package outbox_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"orderflow/pkg/sqldb"
)

// cluster is a PostgreSQL of the test's own, whose settings it may change and
// which it may stop.
type cluster struct {
	bin, data string
	port      int
	user      *syscall.Credential // who runs it: PostgreSQL refuses to be run by root
}

// newCluster makes and starts a server with settings like "wal_level=logical".
func newCluster(t *testing.T, settings ...string) *cluster {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatal("this test makes a PostgreSQL of its own, and there is no initdb")
		}
		t.Skip("this test makes a PostgreSQL of its own, and there is no initdb")
	}
	c := &cluster{bin: filepath.Dir(found[len(found)-1]), port: freePort(t)}
	c.data = c.folder(t)
	c.run(t, "initdb", "-D", c.data, "-U", "postgres", "-A", "trust", "-N", "--wal-segsize=1")
	settings = append(settings, "port="+strconv.Itoa(c.port), "listen_addresses=127.0.0.1", "unix_socket_directories=",
		"shared_buffers=16MB", "max_wal_size=2MB", "min_wal_size=2MB", "autovacuum=off")
	var text strings.Builder
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		fmt.Fprintf(&text, "%s = '%s'\n", name, value)
	}
	if err := os.WriteFile(filepath.Join(c.data, "postgresql.conf"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	t.Cleanup(func() { c.ctl(t, "stop", "-m", "immediate") })
	return c
}

// folder returns an empty folder of the one who runs the server.
func (c *cluster) folder(t *testing.T) string {
	t.Helper()
	// One of the test would lie in a folder that only we may enter.
	folder, err := os.MkdirTemp("", "outbox-cluster") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if os.Geteuid() != 0 {
		return folder
	}
	postgres, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(postgres.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(postgres.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	c.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(folder, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return folder
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

func (c *cluster) run(t *testing.T, program string, args ...string) {
	t.Helper()
	command := exec.Command(filepath.Join(c.bin, program), args...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	command.Dir = "/"
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, output)
	}
}

func (c *cluster) ctl(t *testing.T, args ...string) {
	t.Helper()
	c.run(t, "pg_ctl", slices.Concat([]string{"-D", c.data, "-w", "-s", "-l", filepath.Join(c.data, "log")}, args)...)
}

func (c *cluster) start(t *testing.T) { t.Helper(); c.ctl(t, "start") }

// restart stops the server in the middle of everything, and starts it.
func (c *cluster) restart(t *testing.T) {
	t.Helper()
	c.ctl(t, "restart", "-m", "immediate")
}

func (c *cluster) url(role string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", role, c.port)
}

// exec runs statements as the administrator, each by itself.
func (c *cluster) exec(t *testing.T, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (c *cluster) connect(t *testing.T) sqldb.DB { t.Helper(); return connect(t, c.url("postgres")) }
