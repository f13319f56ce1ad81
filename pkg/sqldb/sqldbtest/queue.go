package sqldbtest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/sqldb"
)

func queuedStatementsRunInOrder(t *testing.T, db sqldb.DB) {
	var seen []string
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		tx.Queue(`INSERT INTO item (id, name, at) VALUES ($1, $2, 0)`, 1, "one")
		tx.Queue(`UPDATE item SET at = at + 1 WHERE id = $1`, 1)
		rows, err := tx.Query(t.Context(), `SELECT name FROM item WHERE at = 1`)
		if err != nil {
			return err
		}
		if seen, err = sqldb.Collect(rows, func(r sqldb.Row) (name string, err error) { return name, r.Scan(&name) }); err != nil {
			return err
		}
		tx.Queue(`INSERT INTO item (id, name, at) VALUES ($1, $2, 0)`, 2, "two")
		if n, err := tx.Exec(t.Context(), `UPDATE item SET at = at + 10`); err != nil || n != 2 {
			t.Errorf("touched %d rows, %v; want 2", n, err)
		}
		tx.Queue(`UPDATE item SET at = at + 100 WHERE id = 2`)
		var at int64
		if err := tx.QueryRow(t.Context(), `SELECT at FROM item WHERE id = 2`).Scan(&at); err != nil || at != 110 {
			t.Errorf("read %d, %v; want 110", at, err)
		}
		tx.Queue(`DELETE FROM item WHERE id = $1`, 1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one"}, seen); diff != "" {
		t.Error(diff)
	}
	if n := Count(t, db, `SELECT count(*) FROM item WHERE name = 'two'`); n != 1 || Count(t, db, `SELECT count(*) FROM item`) != 1 {
		t.Error("what was queued last did not run")
	}
}

// aFailedQueuedStatementNeverCommits breaks a queued statement in the ways
// there are, with a caller who looks at no error at all.
func aFailedQueuedStatementNeverCommits(t *testing.T, db sqldb.DB) {
	Exec(t, db, `INSERT INTO item (id) VALUES (1)`)
	type statement struct {
		sql  string
		args []any
	}
	for name, bad := range map[string]statement{
		"a key that is there": {`INSERT INTO item (id) VALUES ($1)`, []any{1}},
		"no such table":       {`INSERT INTO nothing (id) VALUES ($1)`, []any{1}},
		"no such value":       {`INSERT INTO item (id, name) VALUES (2, $1)`, []any{struct{ odd chan int }{}}},
		"too few arguments":   {`INSERT INTO item (id, name) VALUES ($1, $2)`, []any{2}},
	} {
		for when, then := range map[string]func(sqldb.Tx){
			"last":           func(sqldb.Tx) {},
			"before a query": func(tx sqldb.Tx) { _, _ = tx.Query(t.Context(), `SELECT 1`) },
			"before a row":   func(tx sqldb.Tx) { _ = tx.QueryRow(t.Context(), `SELECT 1`).Scan(new(int)) },
			"before another": func(tx sqldb.Tx) { _, _ = tx.Exec(t.Context(), `INSERT INTO item (id) VALUES (4)`) },
			"before more that is queued": func(tx sqldb.Tx) {
				tx.Queue(`INSERT INTO item (id) VALUES (4)`)
			},
		} {
			for _, begun := range []bool{false, true} {
				err := db.Update(t.Context(), func(tx sqldb.Tx) error {
					if begun {
						if _, err := tx.Exec(t.Context(), `INSERT INTO item (id) VALUES (3)`); err != nil {
							return err
						}
					}
					tx.Queue(bad.sql, bad.args...)
					then(tx)
					return nil
				})
				if err == nil {
					t.Errorf("%s, %s, begun %t: no error", name, when, begun)
				}
				if name == "a key that is there" && !sqldb.IsUniqueViolation(err) {
					t.Errorf("%s: got %v, want what was wrong with the statement", when, err)
				}
				if n := Count(t, db, `SELECT count(*) FROM item`); n != 1 {
					t.Fatalf("%s, %s, begun %t: %d rows, want 1", name, when, begun, n)
				}
			}
		}
	}
}

func anErrorDropsWhatIsQueued(t *testing.T, db sqldb.DB) {
	refusal := errors.New("no")
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		tx.Queue(`INSERT INTO item (id) VALUES (1)`)
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("got %v, want the error of the function", err)
	}
	if n := Count(t, db, `SELECT count(*) FROM item`); n != 0 {
		t.Errorf("%d rows stayed", n)
	}
	if err := db.Update(t.Context(), func(sqldb.Tx) error { return nil }); err != nil {
		t.Errorf("a transaction that does nothing ended with %v", err)
	}
}
