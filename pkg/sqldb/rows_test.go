package sqldb_test

import (
	"errors"
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// A history of which half was read looks whole to whoever does not ask.
func TestAResultThatBreaksOffIsAnErrorAndNoShortList(t *testing.T) {
	number := func(row sqldb.Row) (n int, err error) {
		err = row.Scan(&n)
		return n, err
	}
	t.Run("sqlite", func(t *testing.T) {
		// The second row cannot be computed.
		rows, err := sqldbtest.SQLite(t).Query(t.Context(), `SELECT 1 UNION ALL SELECT json_extract('{', '$')`)
		if err != nil {
			t.Fatal(err)
		}
		if list, err := sqldb.Collect(rows, number); err == nil {
			t.Errorf("got %v", list)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		url := sqldbtest.PostgresURL(t)
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		rows, err := db.Query(t.Context(), `SELECT n FROM generate_series(1, 5000000) AS n`)
		if err != nil {
			t.Fatal(err)
		}
		list, err := sqldb.Collect(rows, func(row sqldb.Row) (int, error) {
			n, err := number(row)
			if n == 10 {
				sqldbtest.KillConnections(t, url)
			}
			return n, err
		})
		if !sqldb.IsUnavailable(err) {
			t.Errorf("got %d rows and %v, want the end of the connection", len(list), err)
		}
	})
	t.Run("an error of the reader", func(t *testing.T) {
		wrong := errors.New("wrong")
		rows, err := sqldbtest.SQLite(t).Query(t.Context(), `SELECT 1 UNION ALL SELECT 2`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sqldb.Collect(rows, func(sqldb.Row) (int, error) { return 0, wrong }); !errors.Is(err, wrong) {
			t.Errorf("got %v", err)
		}
	})
}
