package eventlog

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
)

// conn is one SQLite connection with its prepared statements. It serves one goroutine at a time.
//
// It speaks to the driver itself: connections are handed out by this package, not by a pool, and what package database/sql
// does for each column of each row would take longer than reading it.
type conn struct {
	db       driver.Conn
	prepared map[string]*statement
}

// connect opens the database that a source names; see dataSource.
func connect(source string) (*conn, error) {
	db, err := new(sqlite.Driver).Open(source)
	if err != nil {
		return nil, err
	}
	return &conn{db: db, prepared: map[string]*statement{}}, nil
}

// statement is a prepared statement with room for the values that go in and come out.
type statement struct {
	driver.Stmt
	args   []driver.NamedValue
	values []driver.Value
}

// stmt prepares each statement once and binds its arguments: integers, bool, string, and []byte.
func (c *conn) stmt(query string, args []any) (*statement, error) {
	s, ok := c.prepared[query]
	if !ok {
		prepared, err := c.db.Prepare(query)
		if err != nil {
			return nil, err
		}
		s = &statement{Stmt: prepared}
		c.prepared[query] = s
	}
	s.args = s.args[:0]
	for i, arg := range args {
		if n, ok := arg.(int); ok {
			arg = int64(n)
		}
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	return s, nil
}

var errDriver = errors.New("the driver runs no statements with arguments")

// Statements run without a context that can end on purpose: each is short, and such a context would cost the driver a
// goroutine per statement.

func (c *conn) exec(query string, args ...any) (driver.Result, error) {
	s, err := c.stmt(query, args)
	if err != nil {
		return nil, err
	}
	run, ok := s.Stmt.(driver.StmtExecContext)
	if !ok {
		return nil, errDriver
	}
	return run.ExecContext(context.Background(), s.args)
}

// query runs a statement that has rows. They must be closed before the same statement runs again.
func (c *conn) query(query string, args ...any) (*rows, error) {
	s, err := c.stmt(query, args)
	if err != nil {
		return nil, err
	}
	run, ok := s.Stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errDriver
	}
	result, err := run.QueryContext(context.Background(), s.args)
	if err != nil {
		return nil, err
	}
	if n := len(result.Columns()); len(s.values) != n {
		s.values = make([]driver.Value, n)
	}
	return &rows{result: result, values: s.values}, nil
}

// script runs several statements that have neither arguments nor rows.
func (c *conn) script(statements string) error {
	run, ok := c.db.(driver.ExecerContext)
	if !ok {
		return errDriver
	}
	_, err := run.ExecContext(context.Background(), statements, nil)
	return err
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.db.Close())...)
}

// rows are the rows that a query finds.
type rows struct {
	result driver.Rows
	values []driver.Value // of the current row; blobs in it are copies that may be kept
	err    error
}

// next goes on to the next row. There is none when it returns false, or err says why.
func (r *rows) next() bool {
	err := r.result.Next(r.values)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return err == nil
}

func (r *rows) close() { _ = r.result.Close() } // what it could say was said while reading

// errNoRow is returned where a row was asked for and there is none.
var errNoRow = errors.New("no row")

// queryRow reads one row into integers, which may be NULL where they are pointers to pointers.
func (c *conn) queryRow(into []any, query string, args ...any) error {
	r, err := c.query(query, args...)
	if err != nil {
		return err
	}
	defer r.close()
	if !r.next() {
		if r.err != nil {
			return r.err
		}
		return errNoRow
	}
	for i, to := range into {
		n, isNumber := r.values[i].(int64)
		switch to := to.(type) {
		case *int64:
			if !isNumber {
				return fmt.Errorf("%w: column %d is no number", ErrDamaged, i)
			}
			*to = n
		case *bool:
			*to = n != 0
		case **int64:
			if *to = nil; isNumber {
				*to = &n
			}
		}
	}
	return nil
}
