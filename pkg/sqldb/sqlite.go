package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// sqliteReaders is the size of the reading pool. Reading is work of the
// processor here, so more connections than that do not read faster.
const sqliteReaders = 8

// busyTimeout is how long another process may have the file, in milliseconds.
const busyTimeout = "10000"

// sqliteDB has one connection that writes and a pool that cannot. With a single
// writer, transactions of one process queue in memory instead of polling for
// the lock of the file, which is faster and has a tenth of the tail.
type sqliteDB struct {
	writer, reader *sql.DB
	path           string
}

func connectSQLite(path string) (DB, error) {
	if path == "" {
		return nil, errors.New("database url sqlite://: no path after sqlite://")
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("sqlite %s: there is no directory %s", path, filepath.Dir(path))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("sqlite %s: is a directory, want a file", path)
	}
	// _dqs=0: a misspelt "column" is an error, not a string.
	options := url.Values{"_busy_timeout": {busyTimeout}, "_foreign_keys": {"on"}, "_synchronous": {"FULL"}, "_dqs": {"0"}}
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
	writer := sql.OpenDB(sqliteConnector{name + "&_journal_mode=WAL&_txlock=immediate"})
	// Connecting makes the file, and turns it to write-ahead logging before
	// anybody reads it.
	if err := writer.Ping(); err != nil {
		_ = writer.Close() // there is nothing to lose
		return nil, fmt.Errorf("sqlite %s: %w", path, unavailable{text: oneLine(err), err: err})
	}
	reader := sql.OpenDB(sqliteConnector{name + "&_query_only=on&_txlock=deferred"})
	writer.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(sqliteReaders)
	reader.SetMaxIdleConns(sqliteReaders)
	return &sqliteDB{writer: writer, reader: reader, path: path}, nil
}

func (db *sqliteDB) Dialect() Dialect { return SQLite }

func (db *sqliteDB) Close() {
	// Readers first: the last connection to close folds the log into the file,
	// and a read-only one cannot.
	_ = db.reader.Close()
	_ = db.writer.Close() // nothing a caller could do about it: what was committed is on disk
}

func (db *sqliteDB) Ping(ctx context.Context) error {
	// A read from the file: opening alone would not notice that it is no database.
	var version int
	if err := db.reader.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version); err != nil {
		return fmt.Errorf("sqlite %s: %w", db.path, unavailable{text: oneLine(err), err: err})
	}
	return nil
}

func (db *sqliteDB) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return sqliteRowsOf(db.reader.QueryContext(ctx, query, args...))
}

func (db *sqliteDB) QueryRow(ctx context.Context, query string, args ...any) Row {
	return sqliteRow{db.reader.QueryRowContext(ctx, query, args...)}
}

func (db *sqliteDB) Update(ctx context.Context, fn func(Tx) error) error {
	return runSQLite(ctx, db.writer, fn)
}

func (db *sqliteDB) View(ctx context.Context, fn func(Tx) error) error {
	return runSQLite(ctx, db.reader, fn)
}

func runSQLite(ctx context.Context, pool *sql.DB, fn func(Tx) error) error {
	inner, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	tx := &sqliteTx{ctx: ctx, tx: inner}
	done := false
	defer func() {
		if !done { // an error, a panic, or the end of the goroutine
			_ = inner.Rollback() // also fails when the context ended and it is rolled back already
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.broken != nil {
		return tx.broken
	}
	if err := inner.Commit(); err != nil {
		return err
	}
	done = true
	for _, after := range tx.after {
		after()
	}
	return nil
}

// scrubPatience is for how long readers may keep the log from being emptied.
const scrubPatience = time.Minute

// Scrub writes the file anew and empties the log beside it. Somebody who goes on
// reading what was there before for longer than a minute is an error.
func (db *sqliteDB) Scrub(ctx context.Context) error {
	if _, err := db.writer.ExecContext(ctx, `VACUUM`); err != nil {
		return fmt.Errorf("scrub sqlite %s: %w", db.path, err)
	}
	patient, cancel := context.WithTimeout(ctx, scrubPatience)
	defer cancel()
	for {
		busy, err := db.emptyLog(ctx)
		if err != nil {
			return fmt.Errorf("scrub sqlite %s: %w", db.path, err)
		}
		if !busy {
			return nil
		}
		if err := sleep(patient, 100*time.Millisecond); err != nil {
			return fmt.Errorf("scrub sqlite %s: somebody reads what was there before: %w", db.path, err)
		}
	}
}

// emptyLog does not wait for readers, because writers would wait with it.
func (db *sqliteDB) emptyLog(ctx context.Context) (busy bool, err error) {
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `PRAGMA busy_timeout = 50`); err != nil {
		return false, err
	}
	var pages, folded int
	err = conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &folded)
	_, restored := conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA busy_timeout = `+busyTimeout)
	return busy, errors.Join(err, restored)
}

func (db *sqliteDB) standard() *sql.DB { return db.writer }

type sqliteTx struct {
	ctx    context.Context // that of Update, for what is queued
	tx     *sql.Tx
	broken error // of the first queued statement that failed
	after  []func()
}

// Queue has nothing to gain from waiting: there is no round trip.
func (tx *sqliteTx) Queue(query string, args ...any) {
	if tx.broken == nil {
		_, tx.broken = tx.tx.ExecContext(tx.ctx, query, args...)
	}
}

func (tx *sqliteTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	if tx.broken != nil {
		return nil, tx.broken
	}
	return sqliteRowsOf(tx.tx.QueryContext(ctx, query, args...))
}

func (tx *sqliteTx) QueryRow(ctx context.Context, query string, args ...any) Row {
	if tx.broken != nil {
		return failedRow{tx.broken}
	}
	return sqliteRow{tx.tx.QueryRowContext(ctx, query, args...)}
}

func (tx *sqliteTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if tx.broken != nil {
		return 0, tx.broken
	}
	result, err := tx.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (tx *sqliteTx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

func sqliteRowsOf(rows *sql.Rows, err error) (Rows, error) {
	if err != nil {
		return nil, err
	}
	return sqliteRows{rows}, nil
}

type sqliteRows struct{ *sql.Rows }

// Close drops an error that Err reports as well.
func (r sqliteRows) Close() { _ = r.Rows.Close() }

type sqliteRow struct{ *sql.Row }

func (r sqliteRow) Scan(dest ...any) error {
	err := r.Row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoRows
	}
	return err
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }
