package sqldb_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"orderflow/pkg/sqldb/sqldbtest"
)

// A server with no connection left is there: to skip the tests that need it would
// be to pass without having looked.
func TestAFullServerIsWaitedFor(t *testing.T) {
	admin := sqldbtest.PostgresURL(t)
	address, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	role := "narrow_" + address.Query().Get("search_path")
	db, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	for _, statement := range []string{
		`CREATE ROLE ` + role + ` LOGIN CONNECTION LIMIT 1`,
		`GRANT CREATE ON DATABASE ` + address.Path[1:] + ` TO ` + role,
	} {
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Skipf("the tests may not make roles here: %v", err)
		}
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), admin)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	address.User = url.User(role)
	address.RawQuery = "sslmode=disable"
	only, err := pgx.Connect(t.Context(), address.String())
	if err != nil {
		t.Skipf("roles need a password here: %v", err)
	}
	t.Setenv("TEST_DATABASE_URL", address.String())
	let := time.AfterFunc(200*time.Millisecond, func() { _ = only.Close(context.Background()) })
	defer let.Stop()
	tested := t.Run("test", func(t *testing.T) {
		defer func() {
			if t.Skipped() {
				t.Error("skipped")
			}
		}()
		sqldbtest.PostgresURL(t)
	})
	if !tested {
		t.Error("a full server was not waited for")
	}
}
