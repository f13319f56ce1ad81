package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// unavailable says in plain words why a database cannot be used at the moment.
type unavailable struct {
	text string
	err  error
}

func (u unavailable) Error() string { return u.text }
func (u unavailable) Unwrap() error { return u.err }

// IsUniqueViolation reports whether err says that a row with this key is there
// already.
func IsUniqueViolation(err error) bool {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code == "23505"
	}
	var liteErr *sqlite.Error
	if errors.As(err, &liteErr) {
		switch liteErr.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
			return true
		}
	}
	return false
}

// IsBusy reports whether err means that the database works, but not on this in
// time: PostgreSQL cancelled a statement because it took longer than answer_within
// (waiting for locks included) or than a statement_timeout or lock_timeout of the
// URL, or the transaction lost against others, by a deadlock or a serialization
// failure, as often as Update repeats it. It will be the same for a transaction
// that does the same, and may not for a part of it, or a while later.
//
// It is never true on SQLite: with one writer, who waits for it waits for the
// database as a whole, which is unavailable meanwhile.
func IsBusy(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case queryCanceled, "40001", "40P01", "55P03": // serialization failure, deadlock, lock_timeout
		return true
	}
	return false
}

// queryCanceled is what a statement ends with that somebody asked to cancel.
const queryCanceled = "57014"

// IsUnavailable reports whether err means that the database cannot do this at
// the moment (not there, shutting down, out of connections or of disk, too busy
// as [IsBusy] tells), as opposed to an error that belongs to the statement and
// will come again. The end of a context is neither.
func IsUnavailable(err error) bool {
	var u unavailable
	var connErr *pgconn.ConnectError
	var netErr net.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, &u), errors.As(err, &connErr), IsBusy(err):
		return true
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, puddle.ErrClosedPool),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return true
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return unavailablePostgres(pgErr.Code)
	}
	var liteErr *sqlite.Error
	if errors.As(err, &liteErr) {
		return unavailableSQLite(liteErr.Code())
	}
	// pgconn and database/sql have no exported error for a connection that was
	// closed under a running transaction.
	return (errors.As(err, &netErr) && !netErr.Timeout()) ||
		strings.HasSuffix(err.Error(), "conn closed") || strings.HasSuffix(err.Error(), "sql: database is closed")
}

// unavailablePostgres looks at the class of a SQLSTATE, see appendix A of the
// PostgreSQL manual.
func unavailablePostgres(code string) bool {
	switch {
	case strings.HasPrefix(code, "08"), // connection exception
		strings.HasPrefix(code, "53"),  // insufficient resources
		strings.HasPrefix(code, "58"),  // system error
		strings.HasPrefix(code, "57P"): // shutdown, starting up, crash of another session
		return true
	case code == "25P03": // the session idled in a transaction for too long and was ended
		return true
	case code == "25006": // read-only: a standby, after a failover
		return true
	}
	return false
}

func unavailableSQLite(code int) bool {
	switch code & 0xff { // the primary code, https://www.sqlite.org/rescode.html
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
		sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// Unwrap returns the innermost database of one that wraps others, as a test
// does that makes errors. A wrapper has a method Unwrap() DB.
func Unwrap(db DB) DB {
	for {
		wrapper, ok := db.(interface{ Unwrap() DB })
		if !ok {
			return db
		}
		db = wrapper.Unwrap()
	}
}
