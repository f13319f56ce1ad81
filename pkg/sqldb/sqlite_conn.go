package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"modernc.org/sqlite"
)

// sqliteConnector opens connections that keep their prepared statements.
// Package database/sql prepares a statement anew for each transaction, and
// parsing is a quarter of what a short transaction costs.
type sqliteConnector struct{ source string }

func (c sqliteConnector) Driver() driver.Driver { return new(sqlite.Driver) }

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	opened, err := c.Driver().Open(c.source)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(driverConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver of SQLite lacks what is needed of a connection"), opened.Close())
	}
	return &sqliteConn{driverConn: conn, kept: map[string]*keptStatement{}}, nil
}

// driverConn is all that database/sql asks of a connection.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteConn serves one goroutine at a time, as every driver.Conn does.
type sqliteConn struct {
	driverConn
	kept map[string]*keptStatement // by text
}

type keptStatement struct {
	driver.Stmt
	run interface {
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	busy bool // its rows are being read
}

const (
	mostStatements = 200
	// longestKept leaves out statements of many rows: they are hardly ever the
	// same twice, and large.
	longestKept = 4 << 10
)

func (c *sqliteConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.keep(query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.driverConn.ExecContext(ctx, query, args)
	}
	return s.run.ExecContext(ctx, args)
}

func (c *sqliteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.keep(query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.driverConn.QueryContext(ctx, query, args)
	}
	rows, err := s.run.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &keptRows{rows, s}, nil
}

// keep returns the statement ready to run, or nil when it is not one to keep.
// SQLite itself prepares it again when the schema has changed.
func (c *sqliteConn) keep(query string) (*keptStatement, error) {
	if s, ok := c.kept[query]; ok {
		if s.busy {
			return nil, nil //nolint:nilnil // documented
		}
		return s, nil
	}
	if len(query) > longestKept || !repeats(query) {
		return nil, nil //nolint:nilnil // documented
	}
	if len(c.kept) >= mostStatements {
		if err := c.forget(); err != nil {
			return nil, err
		}
	}
	stmt, err := c.Prepare(query)
	if err != nil {
		return nil, err
	}
	s := &keptStatement{Stmt: stmt}
	var ok bool
	if s.run, ok = stmt.(interface {
		driver.StmtExecContext
		driver.StmtQueryContext
	}); !ok {
		return nil, stmt.Close()
	}
	c.kept[query] = s
	return s, nil
}

// repeats reports whether a text is a single statement on rows, as opposed to
// one that changes the schema or the connection, or a script.
func repeats(query string) bool {
	query = strings.TrimLeft(query, " \t\r\n")
	verb, _, _ := strings.Cut(query, " ")
	switch strings.ToUpper(verb) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return !strings.ContainsRune(query, ';')
	}
	return false
}

// forget starts over: a program that has more statements than fit is better off
// with most of them kept than with the rarest one found.
func (c *sqliteConn) forget() error {
	var errs []error
	for query, s := range c.kept {
		if !s.busy {
			errs = append(errs, s.Close())
			delete(c.kept, query)
		}
	}
	return errors.Join(errs...)
}

func (c *sqliteConn) Close() error {
	return errors.Join(c.forget(), c.driverConn.Close())
}

// keptRows are the rows of a statement that can be used again when they are
// closed.
type keptRows struct {
	driver.Rows
	statement *keptStatement
}

func (r *keptRows) Close() error {
	r.statement.busy = false
	return r.Rows.Close()
}
