package sqldbtest

import (
	"testing"
	"time"

	"orderflow/pkg/sqldb"
)

// Eventually asks until done says yes, and fails the test when it has not for
// ten seconds. what completes the sentence "never: ...".
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// Exec runs one statement in a transaction of its own and returns how many rows
// it touched.
func Exec(t testing.TB, db sqldb.DB, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		var err error
		n, err = tx.Exec(t.Context(), sql, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// Count returns the number that a query like SELECT count(*) gives.
func Count(t testing.TB, db sqldb.Querier, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// Statistics has PostgreSQL look at the values in the tables of db, as it does by
// itself every now and then, and returns what it keeps of them for its planner:
// copies of values, as text, that outlive the rows. SQLite keeps none.
func Statistics(t testing.TB, db sqldb.DB) string {
	t.Helper()
	if db.Dialect() != sqldb.Postgres {
		return ""
	}
	Exec(t, db, `ANALYSE`)
	var kept string
	err := db.QueryRow(t.Context(), `SELECT COALESCE(string_agg(CAST(s AS TEXT), ' '), '') FROM pg_stats s WHERE schemaname = current_schema()`).
		Scan(&kept)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}
