package sqldbtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"orderflow/pkg/sqldb"
)

// defaultServer is where a PostgreSQL for tests is looked for.
const defaultServer = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"

// patience bounds every single step of setting up and tearing down.
const patience = 10 * time.Second

// Each runs fn as a subtest on an empty SQLite file and as another on an empty
// PostgreSQL schema.
func Each(t *testing.T, fn func(t *testing.T, db sqldb.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// SQLite returns an empty database in a temporary file.
func SQLite(t testing.TB) sqldb.DB {
	t.Helper()
	return open(t, SQLiteURL(t))
}

// SQLiteURL returns the URL of a SQLite file that is not there yet.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
}

// Postgres returns an empty PostgreSQL database. It skips the test when no
// server answers, or fails it when REQUIRE_REAL=1.
func Postgres(t testing.TB) sqldb.DB {
	t.Helper()
	return open(t, PostgresURL(t))
}

// PostgresURL returns the URL of an empty PostgreSQL database, for code that
// opens it itself, or several times. It skips the test when no server answers,
// or fails it when REQUIRE_REAL=1. One that is full is waited for.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		server = defaultServer
	}
	address, err := url.Parse(server)
	if err != nil {
		t.Fatalf("TEST_DATABASE_URL is not a url")
	}
	schema := "test_" + strings.ToLower(rand.Text())
	if err := execute(server, fmt.Sprintf(`CREATE SCHEMA %q`, schema)); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" || isFull(err) {
			t.Fatalf("PostgreSQL is required here: %v", err)
		}
		t.Skipf("no PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(server, `SET lock_timeout = '8s'`, `SET client_min_messages = warning`,
			// A read model may have been rebuilt beside it.
			fmt.Sprintf(`DROP SCHEMA %q CASCADE`, schema), fmt.Sprintf(`DROP SCHEMA IF EXISTS %q CASCADE`, schema+"_rebuild")); err != nil {
			t.Errorf("drop the schema of the test: %v", err)
		}
	})
	query := address.Query()
	query.Set("search_path", schema)
	query.Set("application_name", schema) // what [KillConnections] finds them by
	address.RawQuery = query.Encode()
	return address.String()
}

// KillConnections ends every session of the PostgreSQL database at rawURL (one
// of [PostgresURL]), as a restart of the server would.
func KillConnections(t testing.TB, rawURL string) {
	t.Helper()
	address, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	schema := query.Get("search_path")
	query.Del("search_path")
	query.Del("application_name")
	address.RawQuery = query.Encode()
	if err := execute(address.String(), fmt.Sprintf(
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '%s'`, schema)); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, rawURL string) sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func execute(server string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // it is not used again
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// connect waits for a server that has no connection left, as one has when many
// packages are tested at once.
func connect(ctx context.Context, server string) (*pgx.Conn, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, server)
		if err == nil || !isFull(err) {
			return conn, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

func isFull(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "53300" // too_many_connections
}
