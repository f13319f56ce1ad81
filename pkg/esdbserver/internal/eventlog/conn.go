package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
)

// conn is one SQLite connection with its prepared statements. It serves one goroutine at a time.
type conn struct {
	db       *sql.Conn
	prepared map[string]*sql.Stmt
}

func newConn(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{db: c, prepared: map[string]*sql.Stmt{}}, nil
}

// stmt prepares each statement once. Statements run without a context on purpose: each is short, and a context that can
// end would cost the driver a goroutine per statement.
func (c *conn) stmt(query string) (*sql.Stmt, error) {
	if s, ok := c.prepared[query]; ok {
		return s, nil
	}
	s, err := c.db.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.prepared[query] = s
	return s, nil
}

func (c *conn) exec(query string, args ...any) (sql.Result, error) {
	s, err := c.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

func (c *conn) query(query string, args ...any) (*sql.Rows, error) {
	s, err := c.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

// row is a query for one row whose error shows when it is scanned, as with sql.Row.
type row struct {
	row *sql.Row
	err error
}

func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.row.Scan(dest...)
}

func (c *conn) queryRow(query string, args ...any) row {
	s, err := c.stmt(query)
	if err != nil {
		return row{err: err}
	}
	return row{row: s.QueryRow(args...)}
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.db.Close())...)
}

// dataSource is the driver's name for a database file, or for a private one in memory when file is empty.
func dataSource(file string, readOnly bool) string {
	pragmas := url.Values{}
	pragmas.Set("_txlock", "immediate")
	pragma := func(name string, value any) { pragmas.Add("_pragma", fmt.Sprintf("%s(%v)", name, value)) }
	pragma("busy_timeout", 10_000)
	if file == "" {
		pragmas.Set("mode", "memory")
		return "file::memory:?" + pragmas.Encode()
	}
	// In WAL mode a commit is one write and one fsync at the end of one file; FULL is what makes it durable.
	pragma("journal_mode", "WAL")
	pragma("synchronous", "FULL")
	pragma("wal_autocheckpoint", 4000)
	pragma("journal_size_limit", 64<<20)
	pragma("cache_size", -32<<10)
	if readOnly {
		pragma("query_only", 1)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: file, RawQuery: pragmas.Encode()}).String()
}
