package sqldbtest

import (
	"context"
	"database/sql/driver"
	"sync/atomic"

	"orderflow/pkg/sqldb"
)

// Cuttable is a database whose connection a test can cut: while it is cut,
// every call fails as one without a server does.
type Cuttable struct {
	sqldb.DB
	cut     atomic.Bool
	commits atomic.Int64
	refused atomic.Int64
}

// Cut cuts the connection, or mends it.
func (c *Cuttable) Cut(cut bool) { c.cut.Store(cut) }

// LoseCommits makes the next n transactions commit and then fail, as happens
// when the connection breaks before the answer arrives.
func (c *Cuttable) LoseCommits(n int64) { c.commits.Store(n) }

// Refused counts the calls that failed because the connection was cut.
func (c *Cuttable) Refused() int64 { return c.refused.Load() }

// Unwrap gives way to what only one dialect can do.
func (c *Cuttable) Unwrap() sqldb.DB { return c.DB }

func (c *Cuttable) err() error {
	if c.cut.Load() {
		c.refused.Add(1)
		return driver.ErrBadConn
	}
	return nil
}

// Ping fails while the connection is cut.
func (c *Cuttable) Ping(ctx context.Context) error {
	if err := c.err(); err != nil {
		return err
	}
	return c.DB.Ping(ctx)
}

// Query fails while the connection is cut.
func (c *Cuttable) Query(ctx context.Context, sql string, args ...any) (sqldb.Rows, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.DB.Query(ctx, sql, args...)
}

// QueryRow fails while the connection is cut.
func (c *Cuttable) QueryRow(ctx context.Context, sql string, args ...any) sqldb.Row {
	if err := c.err(); err != nil {
		return brokenRow{err}
	}
	return c.DB.QueryRow(ctx, sql, args...)
}

// Update fails when the connection is cut before its function was through, and
// in the place of a lost commit.
func (c *Cuttable) Update(ctx context.Context, fn func(sqldb.Tx) error) error {
	if err := c.err(); err != nil {
		return err
	}
	err := c.DB.Update(ctx, func(tx sqldb.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return c.err()
	})
	if err == nil && c.commits.Load() > 0 && c.commits.Add(-1) >= 0 {
		return driver.ErrBadConn
	}
	return err
}

// View fails while the connection is cut.
func (c *Cuttable) View(ctx context.Context, fn func(sqldb.Tx) error) error {
	if err := c.err(); err != nil {
		return err
	}
	return c.DB.View(ctx, fn)
}

type brokenRow struct{ err error }

func (r brokenRow) Scan(...any) error { return r.err }
