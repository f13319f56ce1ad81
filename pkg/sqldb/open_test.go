package sqldb_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestAnErrorToOpenIsOneLineWithoutTheSecret(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	noDatabase := filepath.Join(folder, "text.db")
	if err := os.WriteFile(noDatabase, []byte(strings.Repeat("this is no database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ url, want string }{
		"nobody listens":   {"postgres://me:hunter2@" + nobody + "/db", "connection refused"},
		"no such scheme":   {"mysql://me:hunter2@host/db", "unknown scheme"},
		"no scheme":        {"orders.db", "want postgres://... or sqlite://PATH"},
		"not a url":        {"postgres://me:hunter2@host:port/db", "not a PostgreSQL url"},
		"bad parameter":    {"postgres://me:hunter2@host/db?sslmode=maybe&password=hunter2", "not a PostgreSQL url"},
		"no path":          {"sqlite://", "no path"},
		"no directory":     {"sqlite://" + filepath.Join(folder, "none", "x.db"), "there is no directory"},
		"a directory":      {"sqlite://" + folder, "is a directory"},
		"not a database":   {"sqlite://" + noDatabase, "not a database"},
		"secret in a word": {"://hunter2", "want postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sqldb.Open(t.Context(), c.url)
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			text := err.Error()
			if !strings.Contains(text, c.want) {
				t.Errorf("%q does not say %q", text, c.want)
			}
			if strings.Contains(text, "\n") || (strings.Contains(text, "hunter2") && name != "secret in a word") {
				t.Errorf("%q has a secret or several lines", text)
			}
		})
	}
}

func TestAMissingPostgresDatabaseIsNamed(t *testing.T) {
	address, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	address.Path = "/no_such_database"
	_, err = sqldb.Open(t.Context(), address.String())
	if err == nil || !strings.Contains(err.Error(), "no_such_database") || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestADatabaseMayComeLater(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	// The port is taken by something that hangs up, until it forwards to the server.
	server := address.Host
	address.Host = listener.Addr().String()
	db, err := sqldb.Connect(address.String())
	if err != nil {
		t.Fatalf("connecting waits for nothing, got %v", err)
	}
	defer db.Close()
	forward := make(chan struct{})
	go hangUpUntil(listener, forward, server)
	reports := make(chan error, 100)
	waited := make(chan error)
	go func() { waited <- sqldb.Wait(t.Context(), db, func(err error) { reports <- err }) }()
	if err := <-reports; err == nil || !sqldb.IsUnavailable(err) {
		t.Errorf("reported %v, want a reason", err)
	}
	close(forward)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if n := sqldbtest.Count(t, db, `SELECT 1`); n != 1 {
		t.Errorf("SELECT 1 gave %d", n)
	}
}

func hangUpUntil(listener net.Listener, forward <-chan struct{}, server string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		select {
		case <-forward:
			go func() {
				upstream, err := net.Dial("tcp", server)
				if err != nil {
					_ = conn.Close()
					return
				}
				go pipe(conn, upstream)
				pipe(upstream, conn)
			}()
		default:
			_ = conn.Close()
		}
	}
}

func pipe(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

func TestWaitEndsWithItsContextAndTheReason(t *testing.T) {
	db := &sqldbtest.Cuttable{DB: sqldbtest.SQLite(t)}
	db.Cut(true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := sqldb.Wait(ctx, db, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestASQLitePathMayHoldAnything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c=1&d#e%20.db")
	db, err := sqldb.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is elsewhere: %v", err)
	}
}

func TestSQLiteIsAsDurableAsPromised(t *testing.T) {
	db := sqldbtest.SQLite(t)
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
			var got string
			if err := tx.QueryRow(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARelativeSQLitePathIsBelowTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := sqldb.Open(t.Context(), "sqlite://orders.db")
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := os.Stat("orders.db"); err != nil {
		t.Error(err)
	}
}
