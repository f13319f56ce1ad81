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
