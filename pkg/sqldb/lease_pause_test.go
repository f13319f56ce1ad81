package sqldb_test

import (
	"context"
	"testing"
	"time"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// A process can be stopped anywhere, also between the fence and the commit. The
// row of the lease is locked then, and would be until it goes on.
func TestAHolderThatIsPausedInsideATransactionDoesNotKeepTheLease(t *testing.T) {
	db := sqldbtest.Postgres(t)
	if err := sqldb.MigrateLease(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	taken := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	paused := false
	err := sqldb.NewLease(db, "work", "paused", 200*time.Millisecond).Run(ctx, func(_ context.Context, epoch int64) error {
		if paused {
			return nil // it has lost the lease, and got it again
		}
		paused = true
		go func() {
			defer close(taken)
			other := sqldb.NewLease(db, "work", "other", time.Minute)
			if err := other.Run(ctx, func(context.Context, int64) error { return nil }); err != nil {
				t.Error(err)
			}
		}()
		return db.Update(ctx, func(tx sqldb.Tx) error {
			if err := sqldb.Fence(ctx, tx, "work", epoch); err != nil {
				return err
			}
			<-taken // paused
			_, err := tx.Exec(ctx, `UPDATE lease SET holder = 'late' WHERE name = 'work'`)
			return err
		})
	})
	if ctx.Err() != nil {
		t.Fatal("nobody could take the lease over")
	}
	if n := sqldbtest.Count(t, db, `SELECT count(*) FROM lease WHERE holder = 'late'`); n != 0 {
		t.Errorf("the one that was paused has written, and got %v", err)
	}
}
