//go:build unix

package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	"orderflow/pkg/porttest"
	"orderflow/pkg/sqldb"
)

// cluster is a PostgreSQL of the test's own, whose settings it may change and
// which it may stop.
type cluster struct {
	bin, data string
	port      int
	release   func() error        // of the port
	user      *syscall.Credential // who runs it: PostgreSQL refuses to be run by root
	guard     *exec.Cmd           // stops the server when we are gone, however that comes
	leash     io.Closer           // which it notices by this
}

// errNoServer says that this machine has no PostgreSQL to make a server of.
var errNoServer = errors.New("this test makes a PostgreSQL of its own, and there is no initdb")

// newCluster is makeCluster for one test.
func newCluster(t *testing.T, settings ...string) *cluster {
	t.Helper()
	c, err := makeCluster(settings...)
	if errors.Is(err, errNoServer) && os.Getenv("REQUIRE_REAL") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.remove(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// makeCluster makes and starts a server with settings like "wal_level=logical".
func makeCluster(settings ...string) (*cluster, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return nil, errNoServer
	}
	port, release, err := porttest.Reserve(1)
	if err != nil {
		return nil, err
	}
	c := &cluster{bin: filepath.Dir(found[len(found)-1]), port: port, release: release}
	if c.data, err = os.MkdirTemp("", "outbox-cluster"); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err := c.giveAway(); err != nil {
			return nil, err
		}
	}
	if err := c.run("initdb", "-D", c.data, "-U", "postgres", "-A", "trust", "-N", "--wal-segsize=1"); err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, setting := range slices.Concat([]string{
		"port=" + strconv.Itoa(c.port), "listen_addresses=127.0.0.1", "unix_socket_directories=",
		"shared_buffers=16MB", "max_wal_size=2MB", "min_wal_size=2MB", "autovacuum=off",
	}, settings) {
		name, value, _ := strings.Cut(setting, "=")
		fmt.Fprintf(&text, "%s = '%s'\n", name, value)
	}
	if err := os.WriteFile(filepath.Join(c.data, "postgresql.conf"), []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	if err := c.watch(); err != nil {
		return nil, err
	}
	return c, c.ctl("start")
}

func (c *cluster) watch() (err error) {
	c.guard = exec.Command("sh", "-c", `read -r _; "$0"/pg_ctl -D "$1" -s -m immediate stop; rm -rf "$1"`, c.bin, c.data)
	c.guard.SysProcAttr = &syscall.SysProcAttr{Credential: c.user, Setpgid: true}
	c.guard.Dir = "/"
	if c.leash, err = c.guard.StdinPipe(); err != nil {
		return err
	}
	return c.guard.Start()
}

// giveAway makes the user postgres the one who runs the server.
func (c *cluster) giveAway() error {
	postgres, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(postgres.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(postgres.Gid, 10, 32)
	if err != nil {
		return err
	}
	c.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(c.data, int(uid), int(gid))
}

// remove stops the server and removes its data.
func (c *cluster) remove() error {
	err := c.leash.Close()
	_ = c.guard.Wait() // it says what rm says about the folder, which is not its to remove
	return errors.Join(err, os.RemoveAll(c.data), c.release())
}

func (c *cluster) run(program string, args ...string) error {
	command := exec.Command(filepath.Join(c.bin, program), args...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	command.Dir = "/"
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, output)
	}
	return nil
}

func (c *cluster) ctl(args ...string) error {
	return c.run("pg_ctl", slices.Concat([]string{"-D", c.data, "-w", "-s", "-l", filepath.Join(c.data, "log")}, args)...)
}

// restart stops the server in the middle of everything, and starts it.
func (c *cluster) restart(t *testing.T) {
	t.Helper()
	if err := c.ctl("restart", "-m", "immediate"); err != nil {
		t.Fatal(err)
	}
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
