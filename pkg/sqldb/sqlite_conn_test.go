package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func numbers(t *testing.T, q sqldb.Querier, query string, args ...any) []int64 {
	t.Helper()
	rows, err := q.Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	found, err := sqldb.Collect(rows, func(r sqldb.Row) (n int64, err error) { return n, r.Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAStatementMayRunWhileItsOwnRowsAreRead(t *testing.T) {
	db := sqldbtest.SQLite(t)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
	sqldbtest.Exec(t, db, `INSERT INTO item VALUES (1), (2), (3)`)
	const above = `SELECT id FROM item WHERE id > $1 ORDER BY id`
	err := db.View(t.Context(), func(tx sqldb.Tx) error {
		outer, err := tx.Query(t.Context(), above, 0)
		if err != nil {
			return err
		}
		var got [][]int64
		_, err = sqldb.Collect(outer, func(r sqldb.Row) (n int64, err error) {
			if err := r.Scan(&n); err != nil {
				return 0, err
			}
			got = append(got, numbers(t, tx, above, n))
			return n, nil
		})
		if diff := cmp.Diff([][]int64{{2, 3}, {3}, {}}, got); diff != "" {
			t.Error(diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeptStatementsSeeASchemaThatChanges(t *testing.T) {
	db := sqldbtest.SQLite(t)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
	for range 2 {
		sqldbtest.Exec(t, db, `INSERT INTO item (id) VALUES ($1)`, 1)
		numbers(t, db, `SELECT id FROM item`)
	}
	sqldbtest.Exec(t, db, `ALTER TABLE item ADD COLUMN at BIGINT NOT NULL DEFAULT 7`)
	sqldbtest.Exec(t, db, `INSERT INTO item (id) VALUES ($1)`, 1)
	if diff := cmp.Diff([]int64{7, 7, 7}, numbers(t, db, `SELECT at FROM item`)); diff != "" {
		t.Error(diff)
	}
	sqldbtest.Exec(t, db, `DROP TABLE item`)
	if _, err := db.Query(t.Context(), `SELECT id FROM item`); err == nil {
		t.Error("a statement on a table that is gone ran")
	}
}

func TestMoreStatementsThanAreKeptStillRun(t *testing.T) {
	db := sqldbtest.SQLite(t)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		rows, err := tx.Query(t.Context(), `SELECT id FROM item`) // being read while others are dropped
		if err != nil {
			return err
		}
		for i := range 500 {
			if _, err := tx.Exec(t.Context(), fmt.Sprintf(`INSERT INTO item (id) VALUES ($1 + %d)`, i), 1); err != nil {
				return err
			}
		}
		_, err = sqldb.Collect(rows, func(sqldb.Row) (int, error) { return 0, nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := sqldbtest.Count(t, db, `SELECT count(*) FROM item`); n != 500 {
		t.Errorf("%d rows, want 500", n)
	}
}

func TestAnEndedContextLeavesKeptStatementsUsable(t *testing.T) {
	db := sqldbtest.SQLite(t)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT PRIMARY KEY)`)
	const insert = `INSERT INTO item (id) VALUES ($1)`
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(tx sqldb.Tx) error {
			if _, err := tx.Exec(ctx, insert, i); err != nil {
				return err
			}
			cancel()
			_, err := tx.Exec(ctx, insert, 1000+i)
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
		sqldbtest.Exec(t, db, insert, i)
		if err := db.Update(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(t.Context(), insert, i); return err }); !sqldb.IsUniqueViolation(err) {
			t.Fatalf("got %v, want a unique violation", err)
		}
	}
	if n := sqldbtest.Count(t, db, `SELECT count(*) FROM item`); n != 50 {
		t.Errorf("%d rows, want 50", n)
	}
}
