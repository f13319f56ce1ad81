package sqldb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func ExampleValues() {
	fmt.Println(sqldb.Values(2, 3))
	// Output: ($1, $2, $3), ($4, $5, $6)
}

func ExampleList() {
	fmt.Println(`SELECT name FROM item WHERE at > $1 AND id IN ` + sqldb.List(2, 3))
	// Output: SELECT name FROM item WHERE at > $1 AND id IN ($2, $3, $4)
}

func TestRowsAreFoundByAnyNumberOfKeys(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		sqldbtest.Exec(t, db, `CREATE TABLE item (id TEXT PRIMARY KEY, n BIGINT)`)
		for n := range 100 {
			sqldbtest.Exec(t, db, `INSERT INTO item (id, n) VALUES ($1, $2)`, fmt.Sprintf("item '\"%d\\", n), n)
		}
		for _, count := range []int{0, 1, 2, 60} {
			keys := []string{}
			for n := range count {
				keys = append(keys, fmt.Sprintf("item '\"%d\\", n), fmt.Sprint("none ", n))
			}
			query, arg, err := sqldb.ByKey(db.Dialect(), "id, n", "item", "id", keys)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := db.Query(t.Context(), query, arg)
			if err != nil {
				t.Fatal(err)
			}
			found, err := sqldb.Collect(rows, func(r sqldb.Row) (key string, err error) {
				var n int
				err = r.Scan(&key, &n)
				if want := fmt.Sprintf("item '\"%d\\", n); key != want {
					t.Errorf("found %s as %d", key, n)
				}
				return key, err
			})
			if err != nil || len(found) != count {
				t.Errorf("%d of %d rows, %v", len(found), count, err)
			}
		}
	})
}

// TestKeysAreLookedUpByTheIndexWhileATableIsNew asks how the rows of an empty
// table would be found: PostgreSQL keeps to that plan when it has grown.
func TestKeysAreLookedUpByTheIndexWhileATableIsNew(t *testing.T) {
	db := sqldbtest.Postgres(t)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id TEXT PRIMARY KEY, n BIGINT)`)
	query, arg, err := sqldb.ByKey(db.Dialect(), "id, n", "item", "id", slices.Repeat([]string{"a"}, 500))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(t.Context(), `EXPLAIN `+query, arg)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := sqldb.Collect(rows, func(r sqldb.Row) (line string, err error) { return line, r.Scan(&line) })
	if text := strings.Join(plan, "\n"); err != nil || !strings.Contains(text, "Index Scan using item_pkey") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestNothingIsInAnEmptyList(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM (SELECT 1 AS id) AS one WHERE id IN `+sqldb.List(1, 0)); n != 0 {
			t.Errorf("found %d", n)
		}
	})
}

func TestAThousandRowsFitIntoOneStatement(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		sqldbtest.Exec(t, db, `CREATE TABLE item (a BIGINT, b BIGINT, c TEXT)`)
		var args []any
		for i := range 1000 {
			args = append(args, i, -i, fmt.Sprint(i))
		}
		sqldbtest.Exec(t, db, `INSERT INTO item (a, b, c) VALUES `+sqldb.Values(1000, 3), args...)
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM item WHERE a = -b AND c = CAST(a AS TEXT)`); n != 1000 {
			t.Errorf("%d rows are right, want 1000", n)
		}
	})
}

func TestQueueRowsWritesAnyNumberOfRowsWithFewStatements(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		sqldbtest.Exec(t, db, `CREATE TABLE pair (a BIGINT PRIMARY KEY, b TEXT)`)
		total := 0
		for _, rows := range []int{0, 1, 2, 3, 255, 257, 700} {
			var args []any
			for range rows {
				total++
				args = append(args, total, "x")
			}
			err := db.Update(t.Context(), func(tx sqldb.Tx) error {
				sqldb.QueueRows(tx, `INSERT INTO pair (a, b)`, 2, args, `ON CONFLICT (a) DO NOTHING`)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM pair WHERE b = 'x'`); n != total {
			t.Errorf("%d rows, want %d", n, total)
		}
	})
}
