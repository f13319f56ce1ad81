package relay_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// clocked is a SQLite database that reads the clock of the test: the lease asks
// its database what time it is.
type clocked struct {
	sqldb.DB
	dead atomic.Bool // the process that uses it was killed
}

func (c *clocked) now(sql string) string {
	return strings.ReplaceAll(sql, "unixepoch('subsec') * 1000000", strconv.FormatInt(time.Now().UnixMicro(), 10))
}

func (c *clocked) QueryRow(ctx context.Context, sql string, args ...any) sqldb.Row {
	if c.dead.Load() {
		return failedRow{}
	}
	return c.DB.QueryRow(ctx, c.now(sql), args...)
}

func (c *clocked) Update(ctx context.Context, fn func(sqldb.Tx) error) error {
	if c.dead.Load() {
		return driver.ErrBadConn
	}
	return c.DB.Update(ctx, func(tx sqldb.Tx) error { return fn(clockedTx{tx, c}) })
}

type clockedTx struct {
	sqldb.Tx
	c *clocked
}

func (t clockedTx) QueryRow(ctx context.Context, sql string, args ...any) sqldb.Row {
	return t.Tx.QueryRow(ctx, t.c.now(sql), args...)
}

func (t clockedTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return t.Tx.Exec(ctx, t.c.now(sql), args...)
}

type failedRow struct{}

func (failedRow) Scan(...any) error { return driver.ErrBadConn }

// How long publishing stands still after a kill is, at the worst: the time to
// live of a lease that had just been renewed, and a millisecond until one of
// those who stand by asks again. It then reads the checkpoint and subscribes,
// for which a second is left of the five.
func TestAnotherRelayTakesOverWithinFiveSecondsOfAKill(t *testing.T) {
	if relay.DefaultLeaseTTL > 4*time.Second {
		t.Errorf("the lease lives for %s", relay.DefaultLeaseTTL)
	}
	for _, since := range []time.Duration{0, 100 * time.Millisecond, time.Second} { // the renewal
		synctest.Test(t, func(t *testing.T) { takeOver(t, since) })
	}
}

func takeOver(t *testing.T, since time.Duration) {
	db := sqldbtest.SQLite(t)
	if err := relay.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer synctest.Wait()
	defer cancel()
	taken := make(chan time.Time, 4)
	lead := func(ctx context.Context, _ int64) error {
		taken <- time.Now()
		<-ctx.Done()
		return ctx.Err()
	}
	start := func() *clocked {
		c := &clocked{DB: db}
		go func() {
			lease := sqldb.NewLease(c, "relay-order", "test", relay.DefaultLeaseTTL)
			if err := lease.Run(ctx, lead); err != nil && !errors.Is(err, driver.ErrBadConn) {
				t.Error(err)
			}
		}()
		return c
	}
	first := start()
	<-taken
	for range 3 { // stand by, each at times of its own
		time.Sleep(137 * time.Millisecond) //nolint:forbidigo // the time of the bubble
		start()
	}
	expiry := func() int {
		return sqldbtest.Count(t, db, `SELECT expires_at FROM lease WHERE name = 'relay-order'`)
	}
	for before := expiry(); expiry() == before; { // just renewed
		time.Sleep(time.Millisecond) //nolint:forbidigo // the time of the bubble
	}
	time.Sleep(since) //nolint:forbidigo // the time of the bubble
	killed := time.Now()
	first.dead.Store(true)
	stoodStill := (<-taken).Sub(killed)
	t.Logf("%s after a renewal: another took over after %s", since, stoodStill)
	if most := relay.DefaultLeaseTTL - since + 10*time.Millisecond; stoodStill > most {
		t.Errorf("took over %s after the kill, want at most %s", stoodStill, most)
	}
}
