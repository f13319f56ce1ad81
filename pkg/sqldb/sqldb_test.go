package sqldb_test

import (
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/faultproxy"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, faultproxy.Leaks()...) }

func TestSQLiteKeepsThePromise(t *testing.T) {
	url := sqldbtest.SQLiteURL(t)
	sqldbtest.Run(t, connectTo(url))
}

func TestPostgresKeepsThePromise(t *testing.T) {
	url := sqldbtest.PostgresURL(t)
	sqldbtest.Run(t, connectTo(url))
}

func connectTo(url string) func(t *testing.T) sqldb.DB {
	return func(t *testing.T) sqldb.DB {
		t.Helper()
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
}

func TestTextIsStoredByBothDatabases(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		odd := "a\x00b\xffc"
		var back string
		if err := db.QueryRow(t.Context(), `SELECT CAST($1 AS TEXT)`, sqldb.Text(odd)).Scan(&back); err != nil {
			t.Fatal(err)
		}
		if want := "a\uFFFDb\uFFFDc"; back != want {
			t.Errorf("got %q, want %q", back, want)
		}
	})
}
