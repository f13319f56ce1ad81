package sqldbtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/sqldb"
)

// leaseSuite shows that one process at a time works under a lease. connect
// stands for one process at each call.
func leaseSuite(t *testing.T, connect func(t *testing.T) sqldb.DB) {
	first := connect(t)
	if err := sqldb.MigrateLease(t.Context(), first); err != nil {
		t.Fatal(err)
	}

	t.Run("ALeaseHasOneHolderAndIsTakenOverAtOnce", func(t *testing.T) {
		var inside, runs atomic.Int32
		results := make(chan error, 3)
		epochs := make(chan int64, 3)
		for range 3 {
			lease := sqldb.NewLease(connect(t), "one", "test", time.Hour)
			go func() {
				results <- lease.Run(t.Context(), func(_ context.Context, epoch int64) error {
					if inside.Add(1) != 1 {
						t.Error("two holders at once")
					}
					defer inside.Add(-1)
					epochs <- epoch
					runs.Add(1)
					return nil
				})
			}()
		}
		last := int64(0)
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
			epoch := <-epochs
			if epoch <= last {
				t.Errorf("epoch %d after %d", epoch, last)
			}
			last = epoch
		}
	})

	t.Run("AnErrorOfTheWorkIsReturnedAndReleases", func(t *testing.T) {
		broken := errors.New("broken")
		lease := sqldb.NewLease(first, "error", "test", time.Hour)
		for range 2 { // the second would wait for an hour otherwise
			err := lease.Run(t.Context(), func(context.Context, int64) error { return broken })
			if !errors.Is(err, broken) {
				t.Fatalf("got %v, want the error of the work", err)
			}
		}
	})

	t.Run("BeingStoppedWhileTakingItLeavesItFree", func(t *testing.T) {
		for i := range 150 {
			lease := sqldb.NewLease(first, "stopped", "test", time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
			err := lease.Run(ctx, func(ctx context.Context, _ int64) error {
				<-ctx.Done()
				return ctx.Err()
			})
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			var held int
			err = first.QueryRow(t.Context(), `SELECT count(*) FROM lease WHERE name = 'stopped' AND expires_at > 0`).Scan(&held)
			if err != nil {
				t.Fatal(err)
			}
			if held != 0 {
				t.Fatalf("stopped after %d µs, the lease is held by nobody for its whole time to live", i*20)
			}
		}
	})

	t.Run("APanicReleases", func(t *testing.T) {
		lease := sqldb.NewLease(first, "panic", "test", time.Hour)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = lease.Run(t.Context(), func(context.Context, int64) error { panic("boom") })
		}()
		if err := lease.Run(t.Context(), func(context.Context, int64) error { return nil }); err != nil {
			t.Error(err)
		}
	})

	t.Run("ALeaseIsRenewedWhileTheWorkGoesOn", func(t *testing.T) {
		lease := sqldb.NewLease(first, "renew", "test", 3*time.Second)
		expiry := func() int64 {
			var at int64
			if err := first.QueryRow(t.Context(), `SELECT expires_at FROM lease WHERE name = 'renew'`).Scan(&at); err != nil {
				t.Error(err)
			}
			return at
		}
		err := lease.Run(t.Context(), func(ctx context.Context, _ int64) error {
			start := expiry()
			Eventually(t, "the lease was renewed", func() bool { return expiry() > start || ctx.Err() != nil })
			return ctx.Err()
		})
		if err != nil {
			t.Error(err)
		}
	})

	t.Run("AHolderThatIsCutOffStopsAndIsFenced", func(t *testing.T) {
		const ttl = 800 * time.Millisecond
		cut := &Cuttable{DB: connect(t)}
		old := sqldb.NewLease(cut, "cut", "old", ttl)
		started, stopped := make(chan int64), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		finished := make(chan error)
		go func() {
			finished <- old.Run(ctx, func(ctx context.Context, epoch int64) error {
				started <- epoch
				<-ctx.Done()
				stopped <- ctx.Err()
				return ctx.Err()
			})
		}()
		oldEpoch := <-started
		cut.Cut(true)
		err := sqldb.NewLease(first, "cut", "new", time.Minute).Run(t.Context(), func(ctx context.Context, epoch int64) error {
			if epoch <= oldEpoch {
				t.Errorf("the new epoch %d is not above %d", epoch, oldEpoch)
			}
			err := first.Update(ctx, func(tx sqldb.Tx) error { return sqldb.Fence(ctx, tx, "cut", oldEpoch) })
			if !errors.Is(err, sqldb.ErrFenced) {
				t.Errorf("the old epoch got %v, want ErrFenced", err)
			}
			return first.Update(ctx, func(tx sqldb.Tx) error { return sqldb.Fence(ctx, tx, "cut", epoch) })
		})
		if err != nil {
			t.Error(err)
		}
		if err := <-stopped; err == nil {
			t.Error("the old holder went on")
		}
		Eventually(t, "the lease that cannot be asked for said so", func() bool { return old.Err() != nil })
		cut.Cut(false)
		if epoch := <-started; epoch <= oldEpoch { // it recovers by itself
			t.Errorf("came back with epoch %d, had %d", epoch, oldEpoch)
		}
		if old.Err() != nil || !old.Holding() {
			t.Errorf("holding %v, error %v after it came back", old.Holding(), old.Err())
		}
		cancel()
		if err := <-finished; err != nil {
			t.Errorf("a context that ended was returned as %v", err)
		}
	})
}
