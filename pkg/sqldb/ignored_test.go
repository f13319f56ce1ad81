package sqldb_test

import (
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestNothingRunsOutsideATransactionThatCouldNotBegin has a caller who looks at
// no error: BEGIN goes with the first statements, and when the server cannot even
// parse one of them, none was sent.
func TestNothingRunsOutsideATransactionThatCouldNotBegin(t *testing.T) {
	db := sqldbtest.Postgres(t)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT PRIMARY KEY)`)
	for name, later := range map[string]func(tx sqldb.Tx){
		"executed": func(tx sqldb.Tx) { _, _ = tx.Exec(t.Context(), `INSERT INTO item VALUES (1)`) },
		"queued": func(tx sqldb.Tx) {
			tx.Queue(`INSERT INTO item VALUES (2)`)
			_, _ = tx.Exec(t.Context(), `INSERT INTO item VALUES (3)`)
		},
		"queried": func(tx sqldb.Tx) {
			tx.Queue(`INSERT INTO item VALUES (4)`)
			_ = tx.QueryRow(t.Context(), `INSERT INTO item VALUES (5) RETURNING id`).Scan(new(int64))
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := db.Update(t.Context(), func(tx sqldb.Tx) error {
				_, _ = tx.Exec(t.Context(), `INSERT INTO nothing VALUES (1)`)
				later(tx)
				return nil
			})
			if err == nil {
				t.Error("a transaction of which a statement failed has committed")
			}
			if n := sqldbtest.Count(t, db, `SELECT count(*) FROM item`); n != 0 {
				t.Errorf("%d rows are left of a transaction that failed: %v", n, err)
			}
		})
	}
}
