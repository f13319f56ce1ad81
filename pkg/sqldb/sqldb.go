package sqldb

import (
	"context"
	"errors"
	"time"
)

// Dialect names the database behind a [DB].
type Dialect string

// The two dialects.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// ErrNoRows is what [Row.Scan] returns when the query found nothing.
var ErrNoRows = errors.New("no rows")

// Querier runs statements. Placeholders are $1, $2, ... in both dialects.
type Querier interface {
	// Query starts a query; read the rows with [Collect], which cannot forget
	// an error in the middle of them.
	Query(ctx context.Context, sql string, args ...any) (Rows, error)
	// QueryRow runs a query of at most one row; errors come from Scan.
	QueryRow(ctx context.Context, sql string, args ...any) Row
}

// Tx is a transaction. It belongs to one goroutine.
type Tx interface {
	Querier
	// Exec runs a statement and returns how many rows it touched.
	Exec(ctx context.Context, sql string, args ...any) (int64, error)
	// Queue runs a statement whose result nobody needs, in the order of the
	// calls, at the latest with the commit. On PostgreSQL queued statements
	// share the round trip of the next one that is not, so that many of them
	// cost hardly more than one; on SQLite they run at once. Its error is
	// returned by the next statement, or by Update: a transaction in which a
	// queued statement failed never commits. A statement must not need what
	// one still queued creates (tables, types).
	Queue(sql string, args ...any)
	// AfterCommit runs fn once the transaction is durable, and never otherwise.
	// Use it to wake a loop that reads what was written, never for an effect
	// that must not be lost.
	AfterCommit(fn func())
}

// Rows is the result of a query, closed by the one who asked.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// Row is the result of a query of at most one row.
type Row interface {
	// Scan returns [ErrNoRows] when there was none.
	Scan(dest ...any) error
}

// DB is a database. Safe for concurrent use.
type DB interface {
	// Querier reads outside any transaction. Writing goes through Update.
	Querier
	// Update runs fn in one read-write transaction and commits when it returns
	// nil. On SQLite there is one writer at a time; on PostgreSQL the isolation
	// is READ COMMITTED, and a transaction that the server aborts for a
	// deadlock or a serialization failure is run again: fn must be repeatable.
	// A panic in fn rolls back and goes on.
	Update(ctx context.Context, fn func(Tx) error) error
	// View runs fn on one consistent snapshot, read-only.
	View(ctx context.Context, fn func(Tx) error) error
	// Scrub makes what was deleted unreadable also for somebody who has the files,
	// as far as a client can: see package documentation, Deleting for good.
	// It takes a time that grows with what is in the database, and on SQLite
	// keeps writers waiting for as long. Do it after the commit.
	Scrub(ctx context.Context) error
	// Dialect tells which database this is.
	Dialect() Dialect
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	// Close waits for running transactions and releases the connections.
	Close()
}

// Micros is how times are stored: microseconds since the Unix epoch.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time is the inverse of [Micros], in UTC.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// Collect reads all rows with scan and closes them. It returns an empty, non-nil
// slice when there are none, and an error when the result broke off half-way.
func Collect[T any](rows Rows, scan func(Row) (T, error)) ([]T, error) {
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return items, nil
}
